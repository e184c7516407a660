/* SPDX-License-Identifier: Apache-2.0 */
/* tam_stub_setup.h: what the options of tam-stub name, loaded, and renewed while it runs. */
#ifndef OTRP_APPLETS_TAM_STUB_SETUP_H
#define OTRP_APPLETS_TAM_STUB_SETUP_H

#include "applets/common.h"
#include "sim/tam.h"

struct tam_stub {
    const char *pki, *tam, *tam_key, *tam_cert, *ocsp, *alt_key, *alt_cert, *alt_ocsp, *tee_root,
        *tfw_root, *tee_key, *aik, *policy, *scenario, *report, *state, *listen, *tls_cert,
        *tls_key, *control_key;
    long deadline, max_bytes, max_total, session_timeout, max_sessions;
    struct text_list fault;
    bool once;
};

/* One identity of the TAM, with what belongs to it. */
struct tam_self {
    key_set *keys;
    X509_stack *chain;
    struct tam_options files; /* where it comes from */
    json_t *ocsp;             /* the stapling set in use; NULL: none */
    long long warned_ms;      /* of a set that is no good; 0: not yet */
};

struct tam_journal;

typedef struct tam_setup {
    const struct applet_call *call;
    struct tam_self self[TAM_IDENTITIES];
    size_t self_count;
    char *alt_paths[3]; /* of the second identity of a PKI directory */
    X509_stack *tee_anchors, *tfw_anchors, *tam_roots;
    scenario *scenario;
    scenario_run *run;
    tam_state *state;
    tam *tam;
    const struct profile *profile;
    key_set *tee_key, *aik;      /* NULL: none is pinned */
    tam_faults *faults;          /* NULL: none */
    key_set *ca;                 /* of the CA of the TAM, for what faults take; or NULL */
    key_set *control;            /* NULL: no control interface */
    struct tam_journal *journal; /* NULL without a control interface */
    long long tended_ms;
} tam_setup;

/* Loads everything; listener is what the TAM tells. Mistakes in a policy or scenario are said. */
bool tam_setup_load(tam_setup *s, const struct tam_listener *listener,
                    struct error *err) MUST_CHECK;
void tam_setup_free(tam_setup *s);

/* Reads policy and stapling sets anew, as far as they are good; says what came of it. */
void tam_setup_reload(tam_setup *s);

/* Renews stapling sets that are about to lapse, or warns. To be called now and then. */
void tam_setup_tend(tam_setup *s);

/* The log: a line for people, or with --json one of JSON. event is "session", "server", "warning";
 * warnings are said also with --quiet. note: tid, did and text. */
void tam_log(const struct applet_call *call, const char *event, const struct tam_note *note);
void tam_say(const struct applet_call *call, const char *format, ...) PRINTF_LIKE(2, 3);
void tam_warn(const struct applet_call *call, const char *format, ...) PRINTF_LIKE(2, 3);
void tam_hint(const struct applet_call *call, const char *text);

AUTO_DEFINE(tam_setup, tam_setup_free)

#endif
