/* SPDX-License-Identifier: Apache-2.0 */
#include "applets/common.h"

#include <string.h>

#include "jose/jwk.h"
#include "otrp/error_code.h"
#include "otrp/profile.h"
#include "pki/chain.h"
#include "pki/layout.h"
#include "pki/staple.h"
#include "util/terminal.h"

key_set *call_keys(const struct applet_call *call, const char *source, enum key_part part,
                   struct error *err)
{
    return key_set_load(source, &(struct key_how){.part = part, .passin = call->common->passin},
                        err);
}

bool input_check(const char *path, const buffer *text, struct error *err)
{
    if (span_trim(buffer_span(text)).size)
        return true;
    error_set(err, RC_MALFORMED, "%s: empty", input_name(path));
    return error_hint(err, "the command that was to write it may have failed");
}

bool error_code_hint(struct error *err, const char *name)
{
    const struct error_code *code = err->hint[0] ? NULL : error_code_find(name);
    return code && error_hint(err, "'otrp help %s' says what causes it", code->name);
}

bool call_keys_all(const struct applet_call *call, const struct text_list *sources,
                   enum key_part part, key_set **keys, struct error *err)
{
    AUTO(key_set) *all = NULL;
    for (size_t i = 0; i < sources->count; i++) {
        AUTO(key_set) *some = call_keys(call, sources->items[i], part, err);
        if (!some || (all && !key_set_append(all, some, err)))
            return false;
        if (!all)
            all = TAKE(some);
    }
    *keys = TAKE(all);
    return true;
}

bool certs_load_all(const struct text_list *paths, X509_stack **certs, struct error *err)
{
    AUTO(X509_stack) *all = NULL;
    for (size_t i = 0; i < paths->count; i++) {
        AUTO(X509_stack) *some = cert_load_many(paths->items[i], err);
        if (!some || !certs_append(&all, some, err))
            return false;
    }
    *certs = TAKE(all);
    return true;
}

enum rc call_put_buffer(const struct applet_call *call, const char *path, buffer *data,
                        enum output_kind kind, struct error *err)
{
    AUTO(buffer) *own = data;
    AUTO(output_set) *outputs = output_set_new(call->common->force);
    if (!outputs)
        return error_memory(err), err->rc;
    if (!output_possible(outputs, path, err) || !output_take(outputs, path, TAKE(own), kind, err) ||
        !output_commit(outputs, err))
        return err->rc;
    return RC_OK;
}

EVP_PKEY *call_make_key(const struct applet_call *call, enum key_alg alg, struct error *err)
{
    struct progress progress;
    struct keygen_job job = {.alg = alg};
    progress_start_late(&progress, "keys", call->common->quiet);
    bool made = keygen_run(
        &job, 1,
        &(struct keygen_how){.threads = 1, .progress = progress_update, .context = &progress}, err);
    progress_end(&progress);
    return made ? job.pkey : NULL;
}

enum rc call_put(const struct applet_call *call, const char *path, struct span data,
                 enum output_kind kind, struct error *err)
{
    buffer *copy = buffer_secret(data.size);
    if (!copy)
        return error_memory(err), err->rc;
    buffer_put_span(copy, data);
    return call_put_buffer(call, path, copy, kind, err);
}

bool option_algorithm(const char *option, enum jwa_kind kind, const char *text,
                      const struct jwa **alg, struct error *err)
{
    *alg = text ? jwa_find(kind, text) : NULL;
    if (!text || *alg)
        return true;
    error_set(err, RC_USAGE, "%s: '%s' is no algorithm for this: it %s", option, text,
              jwa_refusal(text));
    AUTO(buffer) *known = buffer_new(256);
    if (!known)
        return false;
    for (size_t i = 0; i < jwa_count; i++)
        if (jwa_table[i].kind == kind)
            buffer_put_format(known, "%s%s", known->size ? ", " : "choose from ",
                              jwa_table[i].name);
    return error_hint(err, "%s", (const char *)known->data);
}

bool option_object(const char *option, const char *text, json_t **object, struct error *err)
{
    *object = NULL;
    if (!text)
        return true;
    *object = json_load_span(span_text(text), option, err);
    if (json_is_object(*object))
        return true;
    if (*object)
        error_set(err, RC_USAGE, "%s: not a JSON object", option);
    err->rc = RC_USAGE;
    json_decref(*object);
    *object = NULL;
    return false;
}

void call_warn_of_gap(const struct applet_call *call, const char *path, const X509_stack *chain,
                      const X509_stack *roots, const char *consequence)
{
    X509 *gap = path ? chain_gap(chain, roots) : NULL;
    AUTO(char) *subject = gap ? cert_subject(gap) : NULL;
    AUTO(char) *issuer = subject ? cert_issuer(gap) : NULL;
    if (!issuer)
        return;
    if (!roots && gap == sk_X509_value(chain, 0))
        say(call,
            "note: %s: only the certificate of %s: that of its issuer, %s, is needed, too, unless "
            "that is a root",
            path, subject, issuer);
    if (!roots)
        return;
    if (strcmp(subject, issuer) == 0)
        warn(call, "warning: %s: %s is none of the roots: %s", path, subject, consequence);
    else
        warn(call, "warning: %s: the certificate of %s, which issued %s, is not in it: %s", path,
             issuer, subject, consequence);
    warn(call, "hint: a chain is the own certificate, then that of its issuer, and so on up to one "
               "that a root issued");
}

const struct reading *call_reading(const struct applet_call *call, struct reading *storage,
                                   foreign_note note, void *context)
{
    *storage = (struct reading){.profile = profile_find(call->common->profile),
                                .lenient = call->common->lenient,
                                .note = note,
                                .context = context};
    return storage->lenient || storage->profile->forms ? storage : NULL;
}

static void say_form(void *context, const struct foreign_row *form, const char *path)
{
    say(context, "note: %s: %s (%s)", path, form->title, form->section);
}

const struct reading *call_reading_told(const struct applet_call *call, struct reading *storage)
{
    return call_reading(call, storage, say_form, (void *)(uintptr_t)call);
}

buffer *cek_load(const char *path, struct error *err)
{
    AUTO(key_set) *keys = key_set_load(path, &(struct key_how){.part = KEY_PRIVATE}, err);
    if (!keys)
        return NULL;
    if (keys->count != 1 || !keys->keys[0]->oct)
        error_set(err, RC_USAGE, "%s: a content encryption key is one JWK of type oct", path);
    else if (keys->keys[0]->oct->size == 0)
        error_set(err, RC_USAGE, "%s: the key is empty", path);
    else
        return TAKE(keys->keys[0]->oct);
    return NULL;
}

bool cek_add(output_set *outputs, const char *path, const buffer *cek, struct error *err)
{
    AUTO(key) *k = key_from_oct(buffer_span(cek), path, err);
    AUTO(json_t) *jwk = k ? jwk_from_key(k, KEY_PRIVATE, err) : NULL;
    if (!jwk)
        return false;
    AUTO(buffer) *text = json_pretty(jwk);
    return text ? output_add(outputs, path, buffer_span(text), OUTPUT_PRIVATE, err)
                : error_memory(err);
}

static json_t *ocsp_load(const char *path, struct error *err)
{
    AUTO(buffer) *text = input_read(path, LIMIT_SMALL_JSON, err);
    AUTO(json_t) *set = text ? json_load_span(buffer_span(text), path, err) : NULL;
    if (set && !json_is_array(set)) {
        error_set(err, RC_MALFORMED, "%s: a stapling set is a JSON array of BASE64", path);
        return NULL;
    }
    return TAKE(set);
}

bool tam_identity_load(const struct applet_call *call, const struct tam_options *o, key_set **keys,
                       X509_stack **chain, json_t **ocsp, struct error *err)
{
    AUTO(identity) *id = o->pki ? identity_find(o->pki, ROLE_TAM, o->tam ? o->tam : "mytam", err)
                                : NULL;
    if (o->pki && !id)
        return false;
    const char *key_path = o->key ? o->key : id ? id->key_path : NULL;
    const char *chain_path = o->cert ? o->cert : id ? id->chain_path : NULL;
    const char *ocsp_path = o->ocsp ? o->ocsp : id && !o->cert ? id->ocsp_path : NULL;
    if (!key_path || !chain_path) {
        error_set(err, RC_USAGE, "no TAM to sign with");
        return error_hint(err, "give --pki DIR, or --tam-key and --tam-cert");
    }
    *keys = call_keys(call, key_path, KEY_PRIVATE, err);
    *chain = *keys ? cert_load(chain_path, err) : NULL;
    if (!*chain)
        return false;
    if ((*keys)->count != 1 ||
        EVP_PKEY_eq(X509_get0_pubkey(sk_X509_value(*chain, 0)), (*keys)->keys[0]->pkey) != 1)
        return error_set(err, RC_USAGE, "%s: is not the key of the certificate in %s", key_path,
                         chain_path);
    *ocsp = ocsp_path ? ocsp_load(ocsp_path, err) : NULL;
    return !ocsp_path || *ocsp;
}

char *tam_staple_command(const struct tam_options *o)
{
    struct error ignored;
    AUTO(identity) *id = o->pki
                             ? identity_find(o->pki, ROLE_TAM, o->tam ? o->tam : "mytam", &ignored)
                             : NULL;
    return staple_command(o->pki,
                          o->ocsp ? o->ocsp
                          : id    ? id->ocsp_path
                                  : NULL,
                          o->cert ? o->cert
                          : id    ? id->chain_path
                                  : NULL);
}
