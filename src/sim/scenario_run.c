/* SPDX-License-Identifier: Apache-2.0 */
/* What came of a scenario, and the report of it (scenario.h). */
#include "sim/scenario.h"

#include <ctype.h>
#include <pthread.h>
#include <string.h>

#include "util/clock.h"

struct outcome {
    char *found, *reason; /* NULL: not reached; no words */
    double elapsed_ms;
};

struct scenario_run {
    const scenario *scenario;
    pthread_mutex_t lock; /* of what follows */
    bool begun;
    long long last_ms;
    struct outcome *outcomes;
};

const char *const scenario_formats[] = {"tap", "junit", "json", NULL};

scenario_run *scenario_run_new(const scenario *s, struct error *err)
{
    scenario_run *run = calloc(1, sizeof *run);
    struct outcome *outcomes = calloc(s->count, sizeof *outcomes);
    if (!run || !outcomes) {
        free(run);
        free(outcomes);
        error_memory(err);
        return NULL;
    }
    pthread_mutex_init(&run->lock, NULL);
    run->scenario = s;
    run->outcomes = outcomes;
    return run;
}

void scenario_run_free(scenario_run *run)
{
    if (!run)
        return;
    for (size_t i = 0; i < run->scenario->count; i++) {
        free(run->outcomes[i].found);
        free(run->outcomes[i].reason);
    }
    free(run->outcomes);
    pthread_mutex_destroy(&run->lock);
    free(run);
}

const struct scenario_step *scenario_step_at(const scenario_run *run, size_t index)
{
    return run && index < run->scenario->count ? &run->scenario->steps[index] : NULL;
}

bool scenario_run_begin(scenario_run *run)
{
    pthread_mutex_lock(&run->lock);
    bool first = !run->begun;
    run->begun = true;
    if (first)
        run->last_ms = clock_elapsed_ms();
    pthread_mutex_unlock(&run->lock);
    return first;
}

void scenario_run_put(scenario_run *run, size_t index, const char *outcome, const char *reason)
{
    if (index >= run->scenario->count)
        return;
    pthread_mutex_lock(&run->lock);
    struct outcome *o = &run->outcomes[index];
    long long now = clock_elapsed_ms();
    if (!o->found) {
        o->found = strdup(outcome);
        o->reason = reason ? strdup(reason) : NULL;
        o->elapsed_ms = (double)(now - run->last_ms);
    }
    run->last_ms = now;
    pthread_mutex_unlock(&run->lock);
}

static bool is_as_expected(const scenario_run *run, size_t index)
{
    const char *expected = run->scenario->steps[index].expected;
    const char *found = run->outcomes[index].found;
    if (found && strcmp(expected, SCENARIO_ANY_FAIL) == 0)
        return strncmp(found, "ERR_", 4) == 0 || strcmp(found, SCENARIO_ANY_FAIL) == 0;
    return found && strcmp(expected, found) == 0;
}

/* ---- reports ---- */

/* "create-sd xbank/sd-1 with signature (expects ERR_REQUEST_INVALID): its name" */
static void put_title(buffer *out, const struct scenario_step *step)
{
    buffer_put_text(out, message_type(step->type)->option);
    if (step->taid)
        buffer_put_format(out, " %s", step->taid);
    if (step->sdname)
        buffer_put_format(out, " %s/%s", step->spid ? step->spid : "?", step->sdname);
    for (size_t i = 0; i < step->broken_count; i++)
        buffer_put_format(out, "%s%s", i ? ", " : " with ", step->broken[i]->name);
    if (strcmp(step->expected, SCENARIO_PASS) != 0)
        buffer_put_format(out, " (expects %s)", step->expected);
    if (step->name)
        buffer_put_format(out, ": %s", step->name);
}

/* One line, with what would end it, or have a meaning in TAP, shown as a blank. */
static void put_tap_text(buffer *out, const buffer *text)
{
    for (size_t i = 0; i < text->size; i++) {
        uint8_t c = text->data[i];
        buffer_put_char(out, c < 0x20 || c == 0x7f || c == '#' ? ' ' : (char)c);
    }
}

static const char *found_of(const struct outcome *o)
{
    return o->found ? o->found : "not reached";
}

/* "expected pass, found ERR_TEE_FAIL: the device's words" */
static void put_difference(buffer *out, const struct scenario_step *step, const struct outcome *o)
{
    buffer_put_format(out, "expected %s, found %s%s%s", step->expected, found_of(o),
                      o->reason ? ": " : "", o->reason ? o->reason : "");
}

static void put_member(buffer *out, const char *name, const char *text)
{
    buffer_put_format(out, "  %s: ", name); /* a JSON string is one of YAML's */
    buffer_put_json_string(out, span_text(text));
    buffer_put_char(out, '\n');
}

static void put_tap(buffer *out, const scenario_run *run)
{
    const scenario *s = run->scenario;
    buffer_put_format(out, "TAP version 13\n1..%zu\n", s->count);
    for (size_t i = 0; i < s->count; i++) {
        const struct outcome *o = &run->outcomes[i];
        AUTO(buffer) *title = buffer_new(80);
        if (!title)
            return;
        put_title(title, &s->steps[i]);
        bool good = is_as_expected(run, i);
        buffer_put_format(out, "%sok %zu - ", good ? "" : "not ", i + 1);
        put_tap_text(out, title);
        buffer_put_char(out, '\n');
        if (good)
            continue;
        buffer_put_text(out, "  ---\n");
        put_member(out, "expected", s->steps[i].expected);
        put_member(out, "found", found_of(o));
        if (o->reason)
            put_member(out, "reason", o->reason);
        buffer_put_text(out, "  ...\n");
    }
}

/* As the value of an attribute (XML 1.0 section 2.2 and 3.3.3). */
static void put_xml(buffer *out, struct span text)
{
    buffer_put_char(out, '"');
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        if (c == '&' || c == '<' || c == '>' || c == '"')
            buffer_put_format(out, "&#%d;", c);
        else
            buffer_put_char(out, c < 0x20 || c == 0x7f ? '?' : (char)c);
    }
    buffer_put_char(out, '"');
}

/* The step at which a scenario stopped: the first that was not reached. What comes behind it is
 * skipped; that it never came to the step itself is an error, or else a scenario that never ran
 * would be green. */
static size_t stopped_at(const scenario_run *run)
{
    size_t i = 0;
    while (i < run->scenario->count && run->outcomes[i].found)
        i++;
    return i;
}

static void put_junit_case(buffer *out, const scenario_run *run, size_t index)
{
    const struct scenario_step *step = &run->scenario->steps[index];
    const struct outcome *o = &run->outcomes[index];
    AUTO(buffer) *title = buffer_new(80);
    AUTO(buffer) *message = buffer_new(80);
    if (!title || !message)
        return;
    put_title(title, step);
    buffer_put_text(out, "  <testcase classname=\"otrp.scenario\" name=");
    put_xml(out, buffer_span(title));
    buffer_put_format(out, " time=\"%.3f\"", o->elapsed_ms / 1000);
    if (is_as_expected(run, index)) {
        buffer_put_text(out, "/>\n");
        return;
    }
    put_difference(message, step, o);
    buffer_put_format(out, ">\n    <%s message=",
                      o->found                   ? "failure"
                      : index == stopped_at(run) ? "error"
                                                 : "skipped");
    put_xml(out, buffer_span(message));
    buffer_put_text(out, "/>\n  </testcase>\n");
}

static void put_junit(buffer *out, const scenario_run *run)
{
    const scenario *s = run->scenario;
    size_t failures = 0, skipped = 0, errors = stopped_at(run) < s->count;
    double seconds = 0;
    for (size_t i = 0; i < s->count; i++) {
        skipped += run->outcomes[i].found == NULL && i > stopped_at(run);
        failures += run->outcomes[i].found && !is_as_expected(run, i);
        seconds += run->outcomes[i].elapsed_ms / 1000;
    }
    buffer_put_text(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=");
    put_xml(out, span_text(s->name ? s->name : "scenario"));
    buffer_put_format(
        out, " tests=\"%zu\" failures=\"%zu\" errors=\"%zu\" skipped=\"%zu\" time=\"%.3f\">\n",
        s->count, failures, errors, skipped, seconds);
    for (size_t i = 0; i < s->count; i++)
        put_junit_case(out, run, i);
    buffer_put_text(out, "</testsuite>\n");
}

static void put_json(buffer *out, const scenario_run *run)
{
    const scenario *s = run->scenario;
    bool passed = true;
    AUTO(json_t) *steps = json_array();
    for (size_t i = 0; i < s->count; i++) {
        const struct outcome *o = &run->outcomes[i];
        bool good = is_as_expected(run, i);
        passed &= good;
        json_array_append_new(steps,
                              json_pack("{s:i, s:s*, s:s, s:s, s:s*, s:b, s:s*, s:f}", "step",
                                        (int)i + 1, "name", s->steps[i].name, "request",
                                        message_type(s->steps[i].type)->option, "expected",
                                        s->steps[i].expected, "found", o->found, "passed", good,
                                        "reason", o->reason, "elapsed_ms", o->elapsed_ms));
    }
    AUTO(json_t) *report = json_pack("{s:s*, s:b, s:O}", "scenario", s->name, "passed", passed,
                                     "steps", steps);
    AUTO(buffer) *text = report ? json_pretty(report) : NULL;
    if (text)
        buffer_put_span(out, buffer_span(text));
    else
        out->failed = true;
}

/* "step 2, create-sd xbank/sd-1: expected pass, found ERR_TEE_FAIL"; NULL without memory. */
static buffer *difference_line(const scenario_run *run, size_t index)
{
    AUTO(buffer) *line = buffer_new(200);
    if (!line)
        return NULL;
    buffer_put_format(line, "step %zu, ", index + 1);
    put_title(line, &run->scenario->steps[index]);
    buffer_put_text(line, ": ");
    put_difference(line, &run->scenario->steps[index], &run->outcomes[index]);
    return line->failed ? NULL : TAKE(line);
}

size_t scenario_differences(scenario_run *run, void (*each)(void *context, const char *line),
                            void *context)
{
    size_t count = 0;
    pthread_mutex_lock(&run->lock);
    size_t stopped = stopped_at(run);
    for (size_t i = 0; i < run->scenario->count; i++) {
        if (is_as_expected(run, i))
            continue;
        count++;
        AUTO(buffer) *line = i <= stopped ? difference_line(run, i) : NULL;
        if (line)
            each(context, (const char *)line->data);
    }
    pthread_mutex_unlock(&run->lock);
    return count;
}

buffer *scenario_report(scenario_run *run, const char *format, struct error *err)
{
    AUTO(buffer) *out = buffer_new(4096);
    if (!out) {
        error_memory(err);
        return NULL;
    }
    pthread_mutex_lock(&run->lock);
    if (strcmp(format, "tap") == 0)
        put_tap(out, run);
    else if (strcmp(format, "junit") == 0)
        put_junit(out, run);
    else
        put_json(out, run);
    pthread_mutex_unlock(&run->lock);
    return out->failed ? (error_memory(err), NULL) : TAKE(out);
}
