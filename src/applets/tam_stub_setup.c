/* SPDX-License-Identifier: Apache-2.0 */
#include "applets/tam_stub_setup.h"

#include <string.h>

#include "applets/tam_stub_control.h"
#include "pki/authority.h"
#include "pki/layout.h"
#include "sim/tam_staple.h"

enum {
    TEND_MS = 60000,        /* how often stapling sets are looked at */
    WARN_AGAIN_MS = 3600000 /* about one that is no good */
};

void tam_setup_free(tam_setup *s)
{
    tam_free(s->tam);
    tam_state_free(s->state);
    scenario_run_free(s->run);
    scenario_free(s->scenario);
    control_close(s);
    tam_faults_free(s->faults);
    key_set_free(s->ca);
    key_set_free(s->tee_key);
    key_set_free(s->aik);
    key_set_free(s->control);
    for (size_t i = 0; i < TAM_IDENTITIES; i++) {
        key_set_free(s->self[i].keys);
        x509_stack_free(s->self[i].chain);
        json_decref(s->self[i].ocsp);
    }
    for (size_t i = 0; i < COUNT(s->alt_paths); i++)
        free(s->alt_paths[i]);
    x509_stack_free(s->tee_anchors);
    x509_stack_free(s->tfw_anchors);
    x509_stack_free(s->tam_roots);
}

/* ---- the files that people write ---- */

/* With more than one mistake, each is said; the hint is that of the first. */
static void say_mistakes(const tam_setup *s, const char *file, const json_t *mistakes,
                         struct error *err)
{
    size_t count = json_array_size(mistakes);
    for (size_t i = 0; i < count && count > 1; i++) {
        const json_t *m = json_array_get(mistakes, i);
        const char *path = json_string_value(json_object_get(m, "path"));
        tam_say(s->call, "%s: %s%s%s", file, path, *path ? ": " : "",
                json_string_value(json_object_get(m, "reason")));
    }
    if (count <= 1)
        return;
    const struct error first = *err;
    error_set(err, first.rc, "%s: %zu mistakes", file, count);
    error_hint(err, "%s", first.hint);
}

static policy *load_policy(const tam_setup *s, struct error *err)
{
    const struct tam_stub *o = s->call->options;
    if (!o->policy)
        return policy_empty(err);
    AUTO(json_t) *mistakes = json_array();
    AUTO(policy) *p = policy_load(o->policy, s->call->common->passin, mistakes, err);
    if (!p) {
        say_mistakes(s, o->policy, mistakes, err);
        return NULL;
    }
    bool needs_firmware = p->rules.require_tfw;
    for (size_t i = 0; i < p->device_count; i++)
        needs_firmware |= p->devices[i].rules.require_tfw;
    if (!needs_firmware || s->tfw_anchors)
        return TAKE(p);
    error_set(err, RC_USAGE,
              "the policy requires trusted firmware, but there are no firmware roots");
    error_hint(err, "give --tfw-root");
    return NULL;
}

static bool load_scenario(tam_setup *s, struct error *err)
{
    const struct tam_stub *o = s->call->options;
    if (!o->scenario)
        return true;
    AUTO(json_t) *mistakes = json_array();
    s->scenario = scenario_load(o->scenario, s->call->common->passin, s->profile, mistakes, err);
    if (!s->scenario) {
        say_mistakes(s, o->scenario, mistakes, err);
        return false;
    }
    s->run = scenario_run_new(s->scenario, err);
    return s->run != NULL;
}

/* ---- who the TAM is ---- */

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

static bool load_roots(tam_setup *s, struct error *err)
{
    const struct tam_stub *o = s->call->options;
    struct error ignored;
    if (o->tee_key && !(s->tee_key = call_keys(s->call, o->tee_key, KEY_PUBLIC, err)))
        return false;
    if (o->aik && !(s->aik = call_keys(s->call, o->aik, KEY_PUBLIC, err)))
        return false;
    if (s->profile->no_certificate && !s->tee_key) {
        error_set(err, RC_USAGE, "devices of profile %s name no certificate", s->profile->name);
        return error_hint(err, "pin their public key with --tee-key");
    }
    if (!o->tee_root && !o->pki && !s->tee_key) {
        error_set(err, RC_USAGE, "no TEE roots to trust");
        return error_hint(err, "give --pki DIR, or --tee-root");
    }
    if (!o->tee_root && !o->pki)
        return true;
    s->tee_anchors = o->tee_root ? cert_load_many(o->tee_root, err)
                                 : layout_roots(o->pki, ROLE_TEE, err);
    if (!s->tee_anchors)
        return false;
    if (o->tfw_root && !(s->tfw_anchors = cert_load_many(o->tfw_root, err)))
        return false;
    if (!o->tfw_root && o->pki)
        s->tfw_anchors = firmware_certs(o->pki, &ignored);
    s->tam_roots = o->pki ? layout_roots(o->pki, ROLE_TAM, &ignored) : NULL;
    return true;
}

/* The other key of the same TAM in a PKI directory, of the kind that the first is not. */
static void find_alternative(tam_setup *s)
{
    static const char *const files[] = {"key.pem", "cert-plus-intermediate-cert.pem", "ocsp.json"};
    const struct tam_stub *o = s->call->options;
    bool rsa = EVP_PKEY_is_a(s->self[0].keys->keys[0]->pkey, "RSA");
    for (size_t i = 0; i < COUNT(files); i++) {
        s->alt_paths[i] = layout_entity_path(o->pki, ROLE_TAM, o->tam ? o->tam : "mytam",
                                             rsa ? "ec" : "rsa", files[i]);
        if (!s->alt_paths[i] || !path_exists(s->alt_paths[i]))
            return;
    }
    s->self[1].files = (struct tam_options){
        .pki = o->pki, .key = s->alt_paths[0], .cert = s->alt_paths[1], .ocsp = s->alt_paths[2]};
    s->self_count = 2;
}

static bool same_tamid(const tam_setup *s, struct error *err)
{
    AUTO(char) *first = cert_tamid(sk_X509_value(s->self[0].chain, 0), err);
    AUTO(char) *second = first ? cert_tamid(sk_X509_value(s->self[1].chain, 0), err) : NULL;
    if (!second || strcmp(first, second) == 0)
        return second != NULL;
    return error_set(err, RC_USAGE, "the two keys are of different TAMs: %s and %s", first, second);
}

static bool load_self(tam_setup *s, size_t index, struct error *err)
{
    struct tam_self *self = &s->self[index];
    return tam_identity_load(s->call, &self->files, &self->keys, &self->chain, &self->ocsp, err);
}

/* ---- what goes wrong on purpose ---- */

static bool load_faults(tam_setup *s, struct error *err)
{
    const struct tam_stub *o = s->call->options;
    struct error ignored;
    if (o->fault.count && !(s->faults = tam_faults_new(o->fault.items, o->fault.count, err)))
        return false;
    if (s->scenario && s->faults && tam_faults_of_messages(s->faults)) {
        error_set(err, RC_USAGE, "--fault: a scenario says itself which of its requests are wrong");
        return error_hint(err, "give its steps \"break\"; only faults of the server go with it");
    }
    if (!o->pki || (!s->faults && !s->scenario))
        return true;
    AUTO(authority) *ca = authority_find(o->pki, sk_X509_value(s->self[0].chain, 0), &ignored);
    if (ca && path_exists(ca->key_path)) /* what takes it says so when it is missing */
        s->ca = call_keys(s->call, ca->key_path, KEY_PRIVATE, &ignored);
    for (size_t i = 0; i < o->fault.count; i++)
        tam_warn(s->call, "does wrong on purpose: %s", o->fault.items[i]);
    return true;
}

/* ---- stapling ---- */

/* What is wrong with the set that the TAM uses; false when it is good for a while. */
static bool staple_is_due(const tam_setup *s, const struct tam_self *self, struct error *why)
{
    time_t now = clock_now(&s->call->clock), until;
    char text[32];
    if (!staple_judge(self->ocsp, self->chain, s->tam_roots, now, &until, why))
        return !error_prefix(why, "devices will refuse this TAM");
    if (!until || until - now >= STAPLE_AHEAD_S)
        return false;
    time_format(until, text);
    error_set(why, RC_UNTRUSTED, "devices will refuse this TAM from %s on: its stapling set lapses",
              text);
    return true;
}

static bool staple_renewed(tam_setup *s, size_t index, struct error *why)
{
    const struct tam_stub *o = s->call->options;
    struct tam_self *self = &s->self[index];
    time_t now = clock_now(&s->call->clock), until;
    struct error err;
    if (!o->pki)
        return false;
    AUTO(json_t) *set = staple_renew(o->pki, s->call->common->passin, sk_X509_value(self->chain, 0),
                                     now, &err);
    if (!set || !staple_judge(set, self->chain, s->tam_roots, now, &until, &err)) {
        struct error reason = *why;
        error_set(why, RC_UNTRUSTED, "%s; it cannot be renewed: %s", reason.message, err.message);
        return error_cause(why, err.cause == CAUSE_REVOKED ? err.cause : reason.cause);
    }
    char text[32];
    time_format(until, text);
    tam_say(s->call, "stapling set renewed, good until %s", text);
    json_decref(self->ocsp);
    self->ocsp = json_incref(set);
    tam_staple(s->tam, index, TAKE(set));
    return true;
}

/* What helps where devices do not take the set. */
static void hint_staple(const tam_setup *s, const struct tam_self *self, enum cause cause)
{
    if (cause == CAUSE_REVOKED) {
        tam_hint(s->call, "what is revoked stays revoked: have a new certificate issued");
        return;
    }
    AUTO(char) *command = tam_staple_command(&self->files);
    AUTO(char) *hint = NULL;
    if (command && asprintf(&hint, "make the stapling set anew with '%s'%s, and send SIGHUP",
                            command, self->ocsp ? "" : ", give it with --ocsp") < 0)
        hint = NULL;
    if (hint)
        tam_hint(s->call, hint);
}

static void tend_staple(tam_setup *s, size_t index)
{
    struct tam_self *self = &s->self[index];
    struct error why;
    if (!staple_is_due(s, self, &why) || staple_renewed(s, index, &why))
        return;
    long long now_ms = clock_elapsed_ms();
    if (self->warned_ms && now_ms - self->warned_ms < WARN_AGAIN_MS)
        return;
    self->warned_ms = now_ms;
    tam_warn(s->call, "%s", why.message);
    hint_staple(s, self, why.cause);
}

void tam_setup_tend(tam_setup *s)
{
    long long now_ms = clock_elapsed_ms();
    if (now_ms - s->tended_ms < TEND_MS)
        return;
    s->tended_ms = now_ms;
    for (size_t i = 0; i < s->self_count; i++)
        tend_staple(s, i);
}

/* Reads the set anew; a bad file leaves the old one. */
static void reload_staple(tam_setup *s, size_t index)
{
    struct tam_self *self = &s->self[index];
    AUTO(key_set) *keys = NULL;
    AUTO(X509_stack) *chain = NULL;
    AUTO(json_t) *ocsp = NULL;
    struct error err;
    if (!tam_identity_load(s->call, &self->files, &keys, &chain, &ocsp, &err))
        return tam_warn(s->call, "the stapling set stays as it was: %s", err.message);
    if (!ocsp || X509_cmp(sk_X509_value(chain, 0), sk_X509_value(self->chain, 0)) != 0)
        return;
    json_decref(self->ocsp);
    self->ocsp = json_incref(ocsp);
    tam_staple(s->tam, index, TAKE(ocsp));
    self->warned_ms = 0;
}

/* ---- all of it ---- */

void tam_setup_reload(tam_setup *s)
{
    const struct tam_stub *o = s->call->options;
    struct error err;
    policy *p = load_policy(s, &err);
    if (p) {
        tam_follow(s->tam, p);
        if (o->policy)
            tam_say(s->call, "policy %s read anew", o->policy);
    } else {
        tam_warn(s->call, "the policy stays as it was: %s", err.message);
    }
    for (size_t i = 0; i < s->self_count; i++)
        reload_staple(s, i);
    s->tended_ms -= TEND_MS;
    tam_setup_tend(s);
}

static bool load_identities(tam_setup *s, struct error *err)
{
    const struct tam_stub *o = s->call->options;
    s->self[0].files = (struct tam_options){
        .pki = o->pki, .tam = o->tam, .key = o->tam_key, .cert = o->tam_cert, .ocsp = o->ocsp};
    s->self_count = 1;
    if (!load_self(s, 0, err))
        return false;
    if (!o->alt_key != !o->alt_cert)
        return error_set(err, RC_USAGE, "--alt-key and --alt-cert go together");
    if (o->alt_key) {
        s->self[1].files = (struct tam_options){
            .key = o->alt_key, .cert = o->alt_cert, .ocsp = o->alt_ocsp};
        s->self_count = 2;
    } else if (o->pki && !o->tam_key) {
        find_alternative(s);
    }
    return s->self_count == 1 || (load_self(s, 1, err) && same_tamid(s, err));
}

static bool open_tam(tam_setup *s, const struct tam_listener *listener, policy *p,
                     struct error *err)
{
    const struct tam_stub *o = s->call->options;
    struct tam_parts parts = {.identity_count = s->self_count,
                              .tee_anchors = s->tee_anchors,
                              .tfw_anchors = s->tfw_anchors,
                              .policy = p,
                              .state = s->state,
                              .scenario = s->run,
                              .faults = s->faults,
                              .profile = s->profile,
                              .lenient = s->call->common->lenient,
                              .aik = s->aik ? s->aik->keys[0] : NULL,
                              .tee_key = s->tee_key ? s->tee_key->keys[0] : NULL,
                              .ca_key = s->ca ? s->ca->keys[0] : NULL,
                              .sessions = (size_t)o->max_sessions,
                              .session_ms = o->session_timeout * 1000LL,
                              .clock = s->call->clock,
                              .listener = *listener};
    for (size_t i = 0; i < s->self_count; i++)
        parts.identities[i] = (struct tam_identity){s->self[i].keys->keys[0], s->self[i].chain};
    s->tam = tam_open(&parts, err);
    for (size_t i = 0; s->tam && i < s->self_count; i++)
        tam_staple(s->tam, i, json_incref(s->self[i].ocsp));
    return s->tam != NULL;
}

bool tam_setup_load(tam_setup *s, const struct tam_listener *listener, struct error *err)
{
    const struct tam_stub *o = s->call->options;
    if (!load_identities(s, err) || !load_roots(s, err) || !load_scenario(s, err) ||
        !load_faults(s, err) || (o->control_key && !control_open(s, o->control_key, err)))
        return false;
    AUTO(char) *tamid = cert_tamid(sk_X509_value(s->self[0].chain, 0), err);
    AUTO(policy) *p = tamid ? load_policy(s, err) : NULL;
    if (!p || !(s->state = tam_state_open(o->state, tamid, err)) ||
        !open_tam(s, listener, TAKE(p), err))
        return false;
    s->tended_ms = clock_elapsed_ms() - TEND_MS;
    tam_setup_tend(s);
    return true;
}
