/* SPDX-License-Identifier: Apache-2.0 */
/* otrp token: a bearer token for the stub TAM's control interface, or why it refuses one. */
#include "applets/common.h"

#include <string.h>

#include "jose/serialization.h"
#include "net/bearer.h"
#include "util/base64.h"

enum { DEFAULT_TTL = 3600, MOST_TTL = 10 * 366 * 86400 };

struct token {
    const char *key, *aud, *out, *token;
    long ttl;
    bool check;
};

static const struct option_row options[] = {
    OPT_TEXT(token, key, 'k', "KEY", OPT_REQUIRED | OPT_FILE,
             "sign with this private key: RSA, EC or an oct JWK; with --check, a public one will "
             "do"),
    OPT_TEXT(token, aud, 0, "NAME", OPT_REQUIRED,
             "who is to accept it: otrp-control for the stub TAM's control interface"),
    OPT_NUMBER(token, ttl, 0, "SECONDS", 1, MOST_TTL, "how long it is valid (default 3600)"),
    OPT_FLAG(token, check, 'c', 0,
             "make none: check TOKEN as a server would, and print its claims"),
    OPT_TEXT(token, out, 'o', "FILE", OPT_FILE,
             "write the token, or the claims, to FILE (default: standard output)"),
    OPERAND(token, token, "TOKEN", OPT_FILE,
            "file with the token to check (default: standard input)"),
    OPT_END};

/* The claims, of a token that has been checked. */
static buffer *claims_of(struct span token, struct error *err)
{
    struct span segment[3];
    if (!compact_split(token, "token", 3, segment, err))
        return NULL;
    AUTO(buffer) *payload = base64url_decode(segment[1], "token payload", err);
    AUTO(json_t) *claims = payload ? json_load_span(buffer_span(payload), "token", err) : NULL;
    buffer *text = claims ? json_pretty(claims) : NULL;
    if (claims && !text)
        error_memory(err);
    return text;
}

static enum rc check_token(const struct applet_call *call, const key *k, struct error *err)
{
    const struct token *o = call->options;
    AUTO(buffer) *text = input_read(o->token, LIMIT_SMALL_JSON, err);
    if (!text)
        return err->rc;
    struct span token = span_trim(buffer_span(text));
    if (!bearer_check(token, k, o->aud, clock_now(&call->clock), err))
        return err->rc;
    buffer *claims = claims_of(token, err);
    return claims ? call_put_buffer(call, o->out, claims, OUTPUT_PUBLIC, err) : err->rc;
}

static enum rc make_token(const struct applet_call *call, const key *k, struct error *err)
{
    const struct token *o = call->options;
    AUTO(char) *token = bearer_make(k, o->aud, o->ttl ? o->ttl : DEFAULT_TTL,
                                    clock_now(&call->clock), err);
    if (!token)
        return err->rc;
    AUTO(buffer) *line = buffer_secret(strlen(token) + 1);
    if (!line)
        return error_memory(err), err->rc;
    buffer_put_text(line, token);
    buffer_put_char(line, '\n');
    return call_put_buffer(call, o->out, TAKE(line), OUTPUT_PRIVATE, err);
}

static enum rc run(const struct applet_call *call, struct error *err)
{
    const struct token *o = call->options;
    if (!*o->aud)
        return error_set(err, RC_USAGE, "--aud: an audience has a name"), err->rc;
    if (o->check && o->ttl)
        return error_set(err, RC_USAGE, "--ttl is of a token that is made, not of one to --check"),
               err->rc;
    if (o->token && !o->check) {
        error_set(err, RC_USAGE, "a token is made of the options alone, without '%s'", o->token);
        return error_hint(err, "--check checks a token"), err->rc;
    }
    AUTO(key_set) *keys = call_keys(call, o->key, o->check ? KEY_PUBLIC : KEY_PRIVATE, err);
    if (!keys)
        return err->rc;
    if (keys->count != 1)
        return error_set(err, RC_USAGE, "%s: %zu keys, where one is needed", o->key, keys->count),
               err->rc;
    return o->check ? check_token(call, keys->keys[0], err) : make_token(call, keys->keys[0], err);
}

const struct applet applet_token = {
    .uses = USES_KEYS | USES_NOW | USES_FORCE | USES_JSON,
    .options = options,
    .size = sizeof(struct token),
    .run = run,
    .examples =
        (const char *const[]){
            "otrp token --key control.jwk --aud otrp-control",
            "otrp token --key control.jwk --aud otrp-control --ttl 300 -o control.jwt",
            "otrp token --check --key control.jwk --aud otrp-control control.jwt", NULL},
};
