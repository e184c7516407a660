/* SPDX-License-Identifier: Apache-2.0 */
#include "otrp/request.h"

#include <string.h>

#include "util/base64.h"
#include "util/limits.h"

void request_free(request *r)
{
    if (!r)
        return;
    free(r->rid);
    free(r->tid);
    jws_free(r->jws);
    json_doc_free(r->doc);
    json_doc_free(r->tbs_doc);
    buffer_free(r->tbs_text);
    buffer_free(r->payload);
    sk_X509_pop_free(r->signers, X509_free);
    sk_X509_pop_free(r->path, X509_free);
    key_free(r->signer_key);
    free(r->tamid);
    jwe_free(r->content);
    buffer_free(r->cek);
    json_doc_free(r->content_doc);
    buffer_free(r->fields_text);
    buffer_free(r->plaintext);
    free(r);
}

/* The outer name of a text that may not even be JSON: an answer needs no more. */
static const struct message_type *sniff_type(struct span text)
{
    static const char space[] = " \t\r\n";
    size_t i = 0;
    for (const char *expected = "{\""; *expected; expected++) {
        while (i < text.size && text.data[i] && strchr(space, text.data[i]))
            i++;
        if (i == text.size || text.data[i++] != (uint8_t)*expected)
            return NULL;
    }
    const uint8_t *end = memchr(text.data + i, '"', text.size - i);
    return end ? message_find_request(SPAN(text.data + i, (size_t)(end - text.data) - i)) : NULL;
}

/* rid or tid of an unverified payload; "" when it is no string of at most 255 bytes. */
static char *echo(const struct json_value *tbs, const char *name)
{
    const struct json_value *value = json_member(tbs, name);
    char *text = NULL;
    if (value && value->kind == JSON_KIND_STRING && value->string.size <= LIMIT_NAME_BYTES)
        text = span_dup(value->string);
    return text ? text : strdup("");
}

static void read_payload(request *r)
{
    struct error ignored;
    const struct json_value *outer = json_member(json_root(r->doc), r->type->request);
    const struct json_value *payload = json_member(outer, "payload");
    if (!payload || payload->kind != JSON_KIND_STRING)
        return;
    r->payload = base64url_decode(payload->string, "payload", &ignored);
    if (!r->payload)
        return;
    r->tbs_doc = json_doc_parse(buffer_span(r->payload), "payload", &ignored);
    if (r->tbs_doc)
        r->tbs = json_member(json_root(r->tbs_doc), r->type->request_tbs_name);
}

request *request_new(struct span text)
{
    AUTO(request) *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    struct error ignored;
    r->text = text;
    r->doc = json_doc_parse(text, "message", &ignored);
    const struct json_value *outer = r->doc ? json_root(r->doc)->first : NULL;
    r->type = !r->doc ? sniff_type(text) : outer ? message_find_request(outer->name) : NULL;
    if (r->doc && r->type)
        read_payload(r);
    const struct json_value *claimed = r->tbs;
    if (!claimed && r->tbs_doc && json_root(r->tbs_doc)->count == 1)
        claimed = json_root(r->tbs_doc)->first; /* names differ: the answer still says to what */
    r->rid = echo(claimed, "rid");
    r->tid = echo(claimed, "tid");
    return r->rid && r->tid ? TAKE(r) : NULL;
}

bool request_adapt(request *r, const struct reading *reading, struct error *err)
{
    AUTO(buffer) *text = NULL;
    if (!r->tbs)
        return true;
    if (!foreign_read(r->tbs, r->type->request_tbs, r->type->request_tbs_name, reading, &text, err))
        return false;
    if (!text)
        return true;
    json_doc *doc = json_doc_parse(buffer_span(text), r->type->request_tbs_name, err);
    if (!doc)
        return false;
    json_doc_free(r->tbs_doc);
    buffer_free(r->tbs_text);
    r->tbs_doc = doc;
    r->tbs_text = TAKE(text);
    r->tbs = json_root(doc);
    if (r->rid[0])
        return true;
    free(r->rid);
    r->rid = echo(r->tbs, "rid");
    return r->rid || error_memory(err);
}
