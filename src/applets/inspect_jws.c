/* SPDX-License-Identifier: Apache-2.0 */
/* A JWS as inspect shows it: envelope, payload, verdict. */
#include "applets/inspect_jose.h"

#include <stdio.h>
#include <string.h>

#include "otrp/algorithm.h"

static void check_alg(look *l, const char *path, const struct said *h,
                      const struct json_value *unprotected, struct signature *s, bool otrp)
{
    const struct json_value *in = json_member(h->root, "alg"),
                            *out = json_member(unprotected, "alg");
    const struct json_value *told = in ? in : out;
    s->told = told != NULL;
    AUTO(char) *name = told && told->kind == JSON_KIND_STRING ? span_dup(told->string) : NULL;
    s->alg = name ? jwa_find(JWA_SIGNATURE, name) : NULL;
    if (!in && out && otrp)
        deviate(l, path, DEVIATION_ALG_UNPROTECTED);
    else if (!in && h->root)
        deviate(l, path, DEVIATION_ALG_MISSING);
    if (otrp && told && (!s->alg || !otrp_algorithm(s->alg)))
        deviation_add(&l->report, path, deviation_row(DEVIATION_SIGNING_ALG)->section,
                      "alg %.40s: %s", name ? name : "of another type than a string",
                      deviation_row(DEVIATION_SIGNING_ALG)->what);
    for (const struct json_value *v = otrp && h->root ? h->root->first : NULL; v; v = v->next)
        if (!span_is(v->name, "alg") && !span_is(v->name, "x5c") && !span_is(v->name, "kid") &&
            !span_is(v->name, "jwk") && !span_is(v->name, "signer"))
            deviation_add(&l->report, path, deviation_row(DEVIATION_HEADER_MORE)->section,
                          "%.*s: %s", (int)(v->name.size < 60 ? v->name.size : 60),
                          (const char *)v->name.data, deviation_row(DEVIATION_HEADER_MORE)->what);
}

/* One signature with its headers; holder has protected, header and signature. */
static void show_signature(look *l, struct layer *layer, const char *path,
                           const struct json_value *holder, struct span payload,
                           struct signed_as as, const struct signature *compact)
{
    char name[120];
    bool otrp = as.kind == SIGNED_REQUEST || as.kind == SIGNED_RESPONSE ||
                as.kind == SIGNED_INFORMATION;
    said parsed = {.bytes = NULL};
    AUTO(said) *h = &parsed;
    AUTO(candidates) *c = candidates_new();
    if (!c)
        return;
    struct signature s = compact ? *compact
                                 : (struct signature){.protected = string_in(holder, "protected"),
                                                      .payload = payload,
                                                      .signature = string_in(holder, "signature")};
    const struct json_value *unprotected = json_member(holder, "header");
    snprintf(name, sizeof name, "%.80sprotected", path);
    header_read(l, name, json_member(holder, "protected"), s.protected, h);
    if (!l->cut && !h->root && !s.protected.size && !json_member(holder, "protected"))
        deviate(l, name, DEVIATION_ALG_MISSING);
    header_show(l, layer, name, h);
    check_alg(l, name, h, unprotected, &s, otrp);
    if (unprotected) {
        snprintf(name, sizeof name, "%.80sheader", path);
        show_value(l, layer, name, unprotected);
        candidates_of_header(l, c, name, unprotected, false, as);
    }
    snprintf(name, sizeof name, "%.80sprotected", path);
    candidates_of_header(l, c, name, h->root, true, as);
    snprintf(name, sizeof name, "%.80ssignature", path);
    row_words(layer, name, TONE_PLAIN, "%zu characters of base64url", s.signature.size);
    if (!l->cut && as.kind == SIGNED_REQUEST && sk_X509_num(c->certs) == 0)
        deviate(l, "header.x5c", DEVIATION_X5C_MISSING);
    candidates_of_look(l, c);
    signature_judge(l, name, &s, h, c, as);
}

static void show_payload(look *l, const char *path, struct span encoded, struct signed_as as,
                         buffer **bytes, json_doc **doc)
{
    struct error err;
    buffer *mended = NULL;
    bool otrp = as.kind != SIGNED_BARE && as.kind != SIGNED_PACKAGE;
    char name[200];
    snprintf(name, sizeof name, "%.150spayload", path);
    *doc = NULL;
    *bytes = part_decode(l, name, encoded, &err);
    if (!*bytes) {
        struct layer layer = layer_add(&l->report, name, "%zu characters", encoded.size);
        row_words(&layer, name, TONE_BAD, "%s", err.message);
        return;
    }
    struct span text = buffer_span(*bytes);
    bool json = text.size && (text.data[0] == '{' || text.data[0] == '[');
    *doc = json ? read_document(l, text, name, &mended, &err) : NULL;
    if (mended && json) {
        buffer_free(*bytes);
        *bytes = mended;
        text = buffer_span(mended);
    }
    if (otrp && !*doc)
        deviate(l, name, DEVIATION_JWS_PAYLOAD);
    struct layer layer = layer_add(&l->report, name, "%zu bytes%s%s", text.size,
                                   json && !*doc ? "; " : "", json && !*doc ? err.message : "");
    if (!*doc) {
        show_bytes(l, &layer, "data", text);
    } else if (!otrp) {
        show_value(l, &layer, "payload", json_root(*doc));
    } else {
        const struct json_value *root = json_root(*doc);
        if (root->kind != JSON_KIND_OBJECT || root->count != 1 ||
            (as.inner && !span_is(root->first->name, as.inner))) {
            const struct deviation_row *row = deviation_row(DEVIATION_INNER_NAME);
            deviation_add(&l->report, name, row->section, "%s%s%s", row->what,
                          as.inner ? ": it should be " : "", as.inner ? as.inner : "");
        }
        show_tbs(l, root->kind == JSON_KIND_OBJECT && root->count == 1 ? root->first : root, as,
                 &layer);
    }
}

bool value_is_jws(const struct json_value *v)
{
    return json_member(v, "payload") &&
           (json_member(v, "signature") || json_member(v, "signatures"));
}

static void check_envelope(look *l, const char *path, const struct json_value *v,
                           struct signed_as as)
{
    static const char *const known[] = {"payload", "protected", "header", "signature",
                                        "signatures"};
    if (as.kind == SIGNED_BARE || as.kind == SIGNED_PACKAGE)
        return;
    if (json_member(v, "signatures"))
        deviate(l, *path ? path : "signatures", DEVIATION_JWS_SERIALIZATION);
    for (const struct json_value *m = v->first; m; m = m->next) {
        size_t i = 0;
        while (i < COUNT(known) && !span_is(m->name, known[i]))
            i++;
        const struct deviation_row *row = deviation_row(DEVIATION_JWS_MEMBER);
        if (i == COUNT(known))
            deviation_add(&l->report, path, row->section, "%.*s: %s",
                          (int)(m->name.size < 60 ? m->name.size : 60), (const char *)m->name.data,
                          row->what);
    }
}

/* Titles of layers inside others begin with the path of what they are in. */
static void prefix_of_layers(const char *path, char prefix[160])
{
    snprintf(prefix, 160, "%.150s%s", path, *path ? "." : "");
}

void show_jws(look *l, const char *path, const struct json_value *v, struct signed_as as)
{
    char prefix[160];
    AUTO(buffer) *bytes = NULL;
    AUTO(json_doc) *doc = NULL;
    const struct json_value *list = json_member(v, "signatures");
    prefix_of_layers(path, prefix);
    l->nesting++;
    check_envelope(l, path, v, as);
    struct layer layer = layer_add(&l->report, *path ? path : "envelope", "JWS, %s serialisation%s",
                                   list ? "general" : "flattened",
                                   json_member(v, "payload") ? "" : ", payload detached");
    struct span payload = string_in(v, "payload");
    if (json_member(v, "payload"))
        show_payload(l, prefix, payload, as, &bytes, &doc);
    if (!list)
        show_signature(l, &layer, "", v, payload, as, NULL);
    size_t i = 0;
    for (const struct json_value *s = list ? list->first : NULL; s && i < LIMIT_RECIPIENTS;
         s = s->next) {
        char name[60];
        snprintf(name, sizeof name, "signatures[%zu].", i++);
        show_signature(l, &layer, name, s, payload, as, NULL);
    }
    l->nesting--;
}

static void show_compact_jws(look *l, const char *path, const struct span parts[3])
{
    char prefix[160];
    AUTO(buffer) *bytes = NULL;
    AUTO(json_doc) *doc = NULL;
    const struct signed_as as = {.kind = SIGNED_BARE};
    const struct signature s = {.protected = parts[0], .payload = parts[1], .signature = parts[2]};
    prefix_of_layers(path, prefix);
    struct layer layer = layer_add(&l->report, *path ? path : "envelope",
                                   "JWS, compact serialisation");
    show_payload(l, prefix, parts[1], as, &bytes, &doc);
    show_signature(l, &layer, "", NULL, parts[1], as, &s);
}

void show_bytes_deeply(look *l, struct layer *layer, const char *path, struct span bytes)
{
    struct error err;
    AUTO(buffer) *mended = NULL;
    bool json = bytes.size && (bytes.data[0] == '{' || bytes.data[0] == '[');
    AUTO(json_doc) *doc = json ? read_document(l, bytes, path, &mended, &err) : NULL;
    if (doc)
        show_value(l, layer, path, json_root(doc));
    else
        show_bytes(l, layer, path, bytes);
}

void show_compact(look *l, const char *path, struct span text)
{
    struct span parts[3];
    size_t dots = 0;
    l->nesting++;
    for (size_t i = 0; i < text.size; i++)
        dots += text.data[i] == '.';
    struct error ignored;
    if (dots == 2 && compact_split(text, "JWS", 3, parts, &ignored))
        show_compact_jws(l, path, parts);
    else
        show_compact_jwe(l, path, text);
    l->nesting--;
}
