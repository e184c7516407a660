/* SPDX-License-Identifier: Apache-2.0 */
#include "applets/common.h"

#include <string.h>

#include "jose/jwk.h"

key_set *call_keys(const struct applet_call *call, const char *source, enum key_part part,
                   struct error *err)
{
    return key_set_load(source, &(struct key_how){.part = part, .passin = call->common->passin},
                        err);
}

enum rc call_put(const struct applet_call *call, const char *path, struct span data,
                 enum output_kind kind, struct error *err)
{
    AUTO(output_set) *outputs = output_set_new(call->common->force);
    if (!outputs)
        return error_memory(err), err->rc;
    if (!output_add(outputs, path, data, kind, err) || !output_commit(outputs, err))
        return err->rc;
    return RC_OK;
}

bool option_algorithm(const char *option, enum jwa_kind kind, const char *text,
                      const struct jwa **alg, struct error *err)
{
    *alg = text ? jwa_find(kind, text) : NULL;
    if (!text || *alg)
        return true;
    error_set(err, RC_USAGE, "%s: '%s' is no algorithm for this that otrp knows", option, text);
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

buffer *cek_load(const char *path, struct error *err)
{
    AUTO(key_set) *keys = key_set_load(path, &(struct key_how){.part = KEY_PRIVATE}, err);
    if (!keys)
        return NULL;
    if (keys->count == 1 && keys->keys[0]->oct)
        return TAKE(keys->keys[0]->oct);
    error_set(err, RC_USAGE, "%s: a content encryption key is one JWK of type oct", path);
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
