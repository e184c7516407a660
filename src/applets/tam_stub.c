/* SPDX-License-Identifier: Apache-2.0 */
/* otrp tam-stub: a TAM over HTTP that brings devices into the state its policy describes. */
#include "applets/common.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "net/http.h"
#include "net/otrp_http.h"
#include "pki/layout.h"
#include "pki/ocsp.h"
#include "sim/tam.h"
#include "util/base64.h"
#include "util/limits.h"

struct tam_stub {
    const char *pki, *tam, *tam_key, *tam_cert, *ocsp, *tee_root, *tfw_root, *policy, *listen,
        *tls_cert, *tls_key;
    long deadline, max_bytes;
    bool once;
};

static const struct option_row options[] = {
    OPT_TEXT(tam_stub, pki, 0, "DIR", OPT_DIR,
             "PKI directory: the TAM's identity, TEE and firmware roots"),
    OPT_TEXT(tam_stub, tam, 0, "NAME", 0, "TAM of the PKI directory (default mytam)"),
    OPT_TEXT(tam_stub, tam_key, 0, "KEY", OPT_FILE, "private key of the TAM"),
    OPT_TEXT(tam_stub, tam_cert, 0, "CHAIN", OPT_FILE,
             "certificate of the TAM and what is above it"),
    OPT_TEXT(tam_stub, ocsp, 0, "FILE", OPT_FILE, "stapling set, as made by pki-ocsp"),
    OPT_TEXT(tam_stub, tee_root, 0, "ROOTS", OPT_FILE, "TEE roots to trust, a file or folder"),
    OPT_TEXT(tam_stub, tfw_root, 0, "ROOTS", OPT_FILE, "firmware roots and CAs, a file or folder"),
    OPT_TEXT(tam_stub, policy, 'p', "FILE", OPT_FILE,
             "desired state of the devices (default: only ask for their state)"),
    OPT_TEXT(tam_stub, listen, 'l', "ADDR:PORT", 0,
             "where to listen; port 0 picks one (default 127.0.0.1:8080)"),
    OPT_TEXT(tam_stub, tls_cert, 0, "FILE", OPT_FILE, "PEM chain: serve https"),
    OPT_TEXT(tam_stub, tls_key, 0, "FILE", OPT_FILE, "PEM key for --tls-cert"),
    OPT_NUMBER(tam_stub, deadline, 0, "SECONDS", 1, 3600,
               "time a client has for a whole request (default 30)"),
    OPT_NUMBER(tam_stub, max_bytes, 0, "N", 1024, LIMIT_FILE_BYTES,
               "largest message that is accepted (default 4 MiB)"),
    OPT_FLAG(tam_stub, once, 0, 0, "stop when the first session has ended"),
    OPT_END};

/* What the options name, loaded; lives as long as the server. */
typedef struct tam_setup {
    const struct applet_call *call;
    key_set *keys;
    X509_stack *chain, *tee_anchors, *tfw_anchors;
    json_t *ocsp;
    policy *policy;
    tam *tam;
    bool once;
} tam_setup;

static void tam_setup_free(tam_setup *s)
{
    tam_free(s->tam);
    policy_free(s->policy);
    key_set_free(s->keys);
    sk_X509_pop_free(s->chain, X509_free);
    sk_X509_pop_free(s->tee_anchors, X509_free);
    sk_X509_pop_free(s->tfw_anchors, X509_free);
    json_decref(s->ocsp);
}
AUTO_DEFINE(tam_setup, tam_setup_free)

/* Firmware sends its certificate alone: its CAs must be at hand besides the roots. */
static X509_stack *firmware_certs(const char *pki, struct error *err)
{
    AUTO(char) *folder = path_join(pki, "tfw/tfw-ca");
    AUTO(X509_stack) *roots = layout_roots(pki, ROLE_TFW, err);
    AUTO(X509_stack) *cas = roots && folder ? cert_load_many(folder, err) : NULL;
    if (!cas)
        return NULL;
    for (X509 *ca; (ca = sk_X509_shift(cas));)
        if (!sk_X509_push(roots, ca)) {
            X509_free(ca);
            return NULL;
        }
    return TAKE(roots);
}

static bool load_roots(tam_setup *s, const struct tam_stub *o, struct error *err)
{
    if (!o->tee_root && !o->pki) {
        error_set(err, RC_USAGE, "no TEE roots to trust");
        return error_hint(err, "give --pki DIR, or --tee-root");
    }
    s->tee_anchors = o->tee_root ? cert_load_many(o->tee_root, err)
                                 : layout_roots(o->pki, ROLE_TEE, err);
    if (!s->tee_anchors)
        return false;
    if (o->tfw_root)
        return (s->tfw_anchors = cert_load_many(o->tfw_root, err)) != NULL;
    struct error ignored;
    s->tfw_anchors = o->pki ? firmware_certs(o->pki, &ignored) : NULL;
    if (s->policy->require_tfw && !s->tfw_anchors) {
        error_set(err, RC_USAGE,
                  "the policy requires trusted firmware, but there are no firmware roots");
        return error_hint(err, "give --tfw-root");
    }
    return true;
}

/* Warns when devices are about to refuse the TAM for its stapling data. */
static void check_stapling(const tam_setup *s)
{
    struct span responses[LIMIT_OCSP_RESPONSES];
    buffer *items[LIMIT_OCSP_RESPONSES];
    struct error err = {.rc = RC_OK};
    size_t count = 0;
    for (size_t i = 0; i < json_array_size(s->ocsp) && count < LIMIT_OCSP_RESPONSES; i++) {
        const char *text = json_string_value(json_array_get(s->ocsp, i));
        items[count] = text ? base64_decode(span_text(text), "ocspdat", &err) : NULL;
        if (items[count]) {
            responses[count] = buffer_span(items[count]);
            count++;
        }
    }
    for (int i = 0; i + 1 < sk_X509_num(s->chain); i++)
        if (!ocsp_check(responses, count, sk_X509_value(s->chain, i),
                        sk_X509_value(s->chain, i + 1), clock_now(&s->call->clock), NULL, NULL,
                        &err)) {
            warn(s->call, "warning: devices will refuse this TAM: %s", err.message);
            warn(s->call,
                 "hint: make the stapling set anew with 'otrp pki-ocsp', and give it with --ocsp");
            break;
        }
    for (size_t i = 0; i < count; i++)
        buffer_free(items[i]);
}

static void log_line(void *context, const char *line)
{
    const tam_setup *s = context;
    say(s->call, "%s", line);
}

static bool load(tam_setup *s, struct error *err)
{
    const struct tam_stub *o = s->call->options;
    if (!tam_identity_load(s->call,
                           &(struct tam_options){.pki = o->pki,
                                                 .tam = o->tam,
                                                 .key = o->tam_key,
                                                 .cert = o->tam_cert,
                                                 .ocsp = o->ocsp},
                           &s->keys, &s->chain, &s->ocsp, err))
        return false;
    s->policy = o->policy ? policy_load(o->policy, s->call->common->passin, err)
                          : policy_empty(err);
    if (!s->policy || !load_roots(s, o, err))
        return false;
    s->tam = tam_open(&(struct tam_parts){.key = s->keys->keys[0],
                                          .chain = s->chain,
                                          .ocspdat = s->ocsp,
                                          .tee_anchors = s->tee_anchors,
                                          .tfw_anchors = s->tfw_anchors,
                                          .policy = s->policy,
                                          .clock = s->call->clock,
                                          .log = log_line,
                                          .context = s},
                      err);
    if (s->tam)
        check_stapling(s);
    return s->tam != NULL;
}

static void respond(void *context, const struct http_request *request, struct http_reply *reply)
{
    tam_setup *s = context;
    if (!otrp_http_accepts(request, "/tam", reply))
        return;
    buffer *message = NULL;
    enum tam_outcome outcome = tam_answer(s->tam, request->body, &message);
    static const int statuses[] = {[TAM_REQUEST] = 200,
                                   [TAM_DONE] = 204,
                                   [TAM_REFUSED] = 400,
                                   [TAM_STRANGER] = 400,
                                   [TAM_FAILED] = 500};
    *reply = (struct http_reply){.status = statuses[outcome],
                                 .content_type = message ? OTRP_MEDIA_TYPE : NULL,
                                 .body = message};
    if (s->once && outcome != TAM_REQUEST && outcome != TAM_STRANGER)
        kill(getpid(), SIGTERM); /* as if asked to stop: what is under way is finished */
}

static void access_log(void *context, const struct http_request *request, int status, size_t in,
                       size_t out, double elapsed_ms)
{
    const tam_setup *s = context;
    say(s->call, "%s \"%s %s\" %d %zu %zu %.1fms", request->peer ? request->peer : "-",
        request->method, request->path, status, in, out, elapsed_ms);
}

static enum rc run(const struct applet_call *call, struct error *err)
{
    const struct tam_stub *o = call->options;
    tam_setup loaded = {.call = call, .once = o->once};
    AUTO(tam_setup) *s = &loaded;
    if (!o->tls_cert != !o->tls_key)
        return error_set(err, RC_USAGE, "--tls-cert and --tls-key go together"), err->rc;
    if (!load(s, err))
        return err->rc;
    const struct http_server_api *http = http_server_load(err);
    if (!http)
        return err->rc;

    sigset_t stop;
    sigemptyset(&stop);
    sigaddset(&stop, SIGINT);
    sigaddset(&stop, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &stop, NULL);
    struct http_server *server = http->start(
        &(struct http_server_options){
            .listen = o->listen ? o->listen : "127.0.0.1:8080",
            .max_bytes = o->max_bytes ? (size_t)o->max_bytes : LIMIT_ANSWER_BYTES,
            .deadline_ms = o->deadline ? (unsigned)o->deadline * 1000 : 30000,
            .tls_cert = o->tls_cert,
            .tls_key = o->tls_key,
            .respond = respond,
            .log = access_log,
            .context = s},
        err);
    if (!server)
        return err->rc;
    printf("%s/tam\n", http->url(server));
    int signal_number = 0;
    if (fflush(stdout) == 0)
        sigwait(&stop, &signal_number);
    http->stop(server);
    return signal_number
               ? RC_OK
               : (error_errno(err, RC_INTERNAL, "cannot write to standard output"), err->rc);
}

const struct applet applet_tam_stub = {
    .uses = USES_KEYS | USES_NOW,
    .options = options,
    .size = sizeof(struct tam_stub),
    .run = run,
    .examples =
        (const char *const[]){"otrp tam-stub --pki pki --policy samples/policies/install.json",
                              "otrp tam-stub --tam-key tam.pem --tam-cert chain.pem --ocsp "
                              "ocsp.json --tee-root roots/ "
                              "--listen 127.0.0.1:0",
                              NULL},
};
