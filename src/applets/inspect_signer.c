/* SPDX-License-Identifier: Apache-2.0 */
/* What inspect tells of a signer's certificate: its times, its revocation, its identifiers. */
#include "applets/inspect.h"

#include <string.h>

#include "pki/describe.h"
#include "pki/ocsp.h"
#include "util/clock.h"

/* ---- times ---- */

static void tell_days(look *l, const char *who, const char *what, time_t span, const char *when)
{
    long long days = (long long)span / DAY_SECONDS, hours = (long long)span / 3600;
    if (days > 0)
        hint_add(&l->report, "the %s certificate %s %lld day%s %s", who, what, days,
                 days == 1 ? "" : "s", when);
    else
        hint_add(&l->report, "the %s certificate %s %lld hour%s %s", who, what, hours,
                 hours == 1 ? "" : "s", when);
}

static void judge_times(look *l, const X509 *signer, const char *who)
{
    time_t from, to;
    if (!cert_times(signer, &from, &to))
        return;
    if (l->message_time && to < l->message_time)
        tell_days(l, who, "expired", l->message_time - to, "before this message");
    else if (to < l->now)
        tell_days(l, who, "expired", l->now - to,
                  l->message_time ? "ago, after this message" : "ago");
    if (l->message_time && from > l->message_time)
        tell_days(l, who, "became valid", from - l->message_time, "after this message");
    else if (from > l->now)
        tell_days(l, who, "becomes valid", from - l->now, "from now");
}

/* ---- revocation ---- */

/* The stapled responses of a request, decoded whatever their form; returns their number. */
static size_t read_staples(const struct json_value *list, buffer *items[LIMIT_OCSP_RESPONSES])
{
    size_t count = 0;
    enum deviation form;
    const struct json_value *v = list && list->kind == JSON_KIND_STRING ? list
                                 : list                                 ? list->first
                                                                        : NULL;
    for (; v && count < LIMIT_OCSP_RESPONSES; v = v == list ? NULL : v->next) {
        items[count] = v->kind == JSON_KIND_STRING ? decode_loosely(v->string, &form) : NULL;
        count += items[count] != NULL;
    }
    return count;
}

static void judge_revocation(look *l)
{
    buffer *items[LIMIT_OCSP_RESPONSES];
    struct span responses[LIMIT_OCSP_RESPONSES];
    struct error why;
    const struct json_value *list = json_member(l->tbs, "ocspdat");
    size_t count = read_staples(list ? list : json_member(l->tbs, "icaocspdat"), items);
    bool good = count > 0, then = l->message_time != 0;
    for (size_t i = 0; i < count; i++)
        responses[i] = buffer_span(items[i]);
    for (int i = 0; count && i + 1 < sk_X509_num(l->path); i++) {
        X509 *cert = sk_X509_value(l->path, i), *issuer = sk_X509_value(l->path, i + 1);
        struct error ignored;
        then = then &&
               ocsp_check(responses, count, cert, issuer, l->message_time, NULL, NULL, &ignored);
        if (good && !ocsp_check(responses, count, cert, issuer, l->now, NULL, NULL, &why))
            good = false;
    }
    for (size_t i = 0; i < count; i++)
        buffer_free(items[i]);
    if (count == 0)
        verdict_add(&l->report, "revocation", "not checked", "no OCSP response in the message");
    else if (good)
        verdict_add(&l->report, "revocation", "right", "a fresh, good response per certificate");
    else
        verdict_add(&l->report, "revocation", "wrong", "%s", why.message);
    if (count && !good && then)
        hint_add(&l->report, "the OCSP responses were fresh when the message was made");
}

void show_signer(look *l, X509 *signer, struct signed_as as)
{
    static const char *const names[] = {"signer's", "TAM", "TEE", "signer's", "SP"};
    if (as.kind == SIGNED_REQUEST && sk_X509_num(l->path) > 0)
        judge_revocation(l);
    judge_times(l, signer, names[as.kind]);
    struct error ignored;
    AUTO(char) *tamid = as.kind == SIGNED_REQUEST ? cert_tamid(signer, &ignored) : NULL;
    AUTO(char) *did = as.kind == SIGNED_RESPONSE ? cert_did(signer, &ignored) : NULL;
    if (tamid && l->said_tamid && strcmp(tamid, l->said_tamid) != 0)
        deviation_add(&l->report, "content.tamid", deviation_row(DEVIATION_OTHER_TAMID)->section,
                      "\"%.80s\": %s, which is \"%.80s\"", l->said_tamid,
                      deviation_row(DEVIATION_OTHER_TAMID)->what, tamid);
    if (did && l->said_did && strcmp(did, l->said_did) != 0)
        deviation_add(&l->report, "content.did", deviation_row(DEVIATION_OTHER_DID)->section,
                      "not that of the certificate that signed");
    sk_X509_pop_free(l->path, X509_free);
    l->path = NULL;
}
