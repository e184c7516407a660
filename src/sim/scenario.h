/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scenario.h: an explicit list of requests and the outcome expected of each, from a JSON file
 * (otrp-scenario(5)), and what came of them.
 *
 *     AUTO(scenario) *s = scenario_load("lifecycle.json", NULL, profile, mistakes, err);
 *     AUTO(scenario_run) *run = scenario_run_new(s, err);
 *     ... a TAM that was given run walks a session through it ...
 *     AUTO(buffer) *report = scenario_report(run, "tap", err);
 *
 * A run is for one session. It is safe to use from several threads.
 */
#ifndef OTRP_SIM_SCENARIO_H
#define OTRP_SIM_SCENARIO_H

#include "otrp/request_make.h"

/* What a step expects when it is not the name of an error code. */
#define SCENARIO_PASS      "pass"
#define SCENARIO_NO_ANSWER "none"    /* the device does not answer */
#define SCENARIO_REFUSED   "refused" /* the TAM does not believe the answer */
#define SCENARIO_ANY_FAIL  "fail"    /* any failure will do */

enum { SCENARIO_BREAKS = 16 }; /* in one step */

struct scenario_step { /* texts are borrowed from the file; NULL: not given */
    const char *name;  /* for people */
    enum message_id type;
    const char *rid, *tid, *spid, *sdname, *taid, *taname, *newspid, *newsdname;
    char *spcert;                    /* BASE64 of the DER */
    json_t *add_spcert, *del_spcert; /* BASE64; hexadecimal SHA-256 */
    bool renew_aik, delete_ta, no_nextdsi;
    buffer *package, *pdata;
    const json_t *set, *unset;                      /* {"PATH": value}; ["PATH"] */
    const struct mutation *broken[SCENARIO_BREAKS]; /* borrowed from the scenario */
    size_t broken_count;
    const char *expected;
};

typedef struct scenario {
    json_t *json;
    mutations *known; /* NULL when no step breaks anything */
    const char *name;
    struct scenario_step *steps;
    size_t count;
} scenario;

/* Reads and checks a scenario as policy_load does a policy: also that its requests can be made, in
 * the form of that profile (NULL: ietf), as far as that does not depend on the device. */
scenario *scenario_load(const char *path, const char *passin, const struct profile *profile,
                        json_t *mistakes, struct error *err) MUST_CHECK;
void scenario_free(scenario *s);

/* Gives a draft the fields of a step. */
void scenario_fill(const struct scenario_step *step, struct request_draft *draft);

/* Changes the parts of a request as the step's set and unset say. */
bool scenario_change(const struct scenario_step *step, json_t *tbs, json_t *content,
                     struct error *err) MUST_CHECK;

/* ---- one run ---- */

typedef struct scenario_run scenario_run;

scenario_run *scenario_run_new(const scenario *s, struct error *err) MUST_CHECK; /* borrows s */
void scenario_run_free(scenario_run *run);

/* The step of that index; NULL behind the last, or without a run. */
const struct scenario_step *scenario_step_at(const scenario_run *run, size_t index);

/* False when a session walks through it already, or has. */
bool scenario_run_begin(scenario_run *run);
/* The outcome of a step, and the device's own words or NULL. The first one counts; an index behind
 * the last step is fine, and has no effect. */
void scenario_run_put(scenario_run *run, size_t index, const char *outcome, const char *reason);

/* Calls each with a line for people about every step that went otherwise than
 * expected, up to the first that was not reached; returns how many these are, with all that were
 * not reached. */
size_t scenario_differences(scenario_run *run, void (*each)(void *context, const char *line),
                            void *context);

/* The report, in one of these formats; owned by the caller. */
extern const char *const scenario_formats[]; /* "tap", "junit", "json", NULL */
buffer *scenario_report(scenario_run *run, const char *format, struct error *err) MUST_CHECK;

AUTO_DEFINE(scenario, scenario_free)
AUTO_DEFINE(scenario_run, scenario_run_free)

#endif
