/* SPDX-License-Identifier: Apache-2.0 */
#include "otrp/unearth.h"

#include <ctype.h>
#include <string.h>

#include "otrp/unearth_dump.h"
#include "otrp/unearth_form.h"
#include "otrp/unearth_json.h"
#include "otrp/unearth_wire.h"

enum {
    AGAIN_BYTES = 32,      /* what a vain attempt costs besides what it read */
    BUDGET_FACTOR = 4,     /* how often a byte may be read again, on average */
    BUDGET_BASE = 1 << 20, /* so that small inputs are searched well */
    STRING_LEAST = 16,     /* a string of JSON that may hold something */
};

const char *unearthed_how_name(unsigned bit_number)
{
    static const char *const names[] = {"lines joined",
                                        "prefixes of lines left out",
                                        "quotes made straight",
                                        "taken out of a string",
                                        "out of a hexadecimal dump",
                                        "out of BASE64",
                                        "out of quoted-printable",
                                        "out of UTF-16",
                                        "out of percent-encoding",
                                        "it ends too early: closed",
                                        "a superfluous comma left out",
                                        "inside other JSON",
                                        "chunk sizes left out",
                                        "several dumps joined"};
    return bit_number < COUNT(names) ? names[bit_number] : NULL;
}

struct scan {
    struct span text;
    unearth_take take;
    void *context;
    struct error *err;
    unsigned level, how;
    size_t budget;
    bool inner; /* offset and line are those of the outer text */
    size_t offset, line;
    size_t counted; /* newlines up to here are in line */
    size_t found;
};

static bool scan_text(struct scan *s);

/* What follows was found at offset at; inside something else, its place is the outermost's. */
static void set_place(struct scan *s, size_t at)
{
    if (s->inner)
        return;
    for (; s->counted < at; s->counted++)
        s->line += s->text.data[s->counted] == '\n';
    s->offset = at;
}

/* Hands a thing out, and returns whether it was recognised. */
static bool give(struct scan *s, enum unearthed_kind kind, struct span text, size_t at,
                 unsigned how)
{
    set_place(s, at);
    struct unearthed found = {
        .kind = kind, .text = text, .offset = s->offset, .line = s->line, .how = s->how | how};
    bool known = s->take(s->context, &found);
    s->found += known;
    return known;
}

/* Searches text, which was decoded from what stands at offset at; *found: there was something. */
static bool search_inside(struct scan *s, struct span text, size_t at, unsigned how, bool *found)
{
    *found = false;
    if (s->level + 1 >= UNEARTH_LEVELS || text.size == 0)
        return true;
    set_place(s, at);
    struct scan inside = {.text = text,
                          .take = s->take,
                          .context = s->context,
                          .err = s->err,
                          .level = s->level + 1,
                          .how = s->how | how,
                          .inner = true,
                          .offset = s->offset,
                          .line = s->line};
    if (!scan_text(&inside))
        return false;
    *found = inside.found > 0;
    s->found += inside.found;
    return true;
}

/* ---- JSON ---- */

/* Whether a string is worth being searched. */
static bool promises(struct span text)
{
    return text.size >= STRING_LEAST &&
           (memchr(text.data, '{', text.size) || text.size >= COMPACT_LEAST);
}

/* Whether a value in other JSON may be ours: it is read again when it is handed out, which is paid
 * for. */
static bool may_be_ours(struct scan *s, const struct json_value *v)
{
    static const char *const names[] = {"payload",        "ciphertext",    "kty",
                                        "keys",           "dsi",           "direction",
                                        "TAQuery",        "TAInformation", "TAInformationTBS",
                                        "OTrPBrokerError"};
    bool ours = v->kind == JSON_KIND_ARRAY && v->first->string.size >= COMPACT_LEAST;
    for (size_t i = 0; !ours && i < COUNT(names); i++)
        ours = json_member(v, names[i]) != NULL;
    for (const struct json_value *m = v->first; !ours && m; m = m->next)
        ours = (m->name.size > 9 && memcmp(m->name.data + m->name.size - 7, "Request", 7) == 0) ||
               (m->name.size > 10 && memcmp(m->name.data + m->name.size - 8, "Response", 8) == 0);
    if (!ours || v->text.size > s->budget)
        return false;
    s->budget -= v->text.size;
    return true;
}

/* Goes through the values of a document that is not known itself. */
static bool search_value(struct scan *s, const struct json_value *value, size_t at, unsigned how)
{
    bool found;
    for (const struct json_value *v = value->first; v; v = v->next) {
        if (v->kind == JSON_KIND_STRING) {
            if (promises(v->string) &&
                !search_inside(s, v->string, at, how | UNEARTHED_IN_STRING, &found))
                return false;
        } else if (v->first &&
                   !(may_be_ours(s, v) &&
                     give(s, UNEARTHED_JSON, v->text, at, how | UNEARTHED_NESTED)) &&
                   !search_value(s, v, at, how)) {
            return false;
        }
    }
    return true;
}

static bool search_document(struct scan *s, struct span text, size_t at, unsigned how)
{
    struct error ignored;
    AUTO(json_doc) *doc = json_doc_parse(text, "text", &ignored);
    return !doc || search_value(s, json_root(doc), at, how);
}

bool unearth_knows(struct span text)
{
    static const char *const words[] = {
        "\"payload\"", "\"ciphertext\"", "\"encrypted_key\"", "\"protected\"",   "TBSRe",
        "\"kty\"",     "\"dsi\"",        "\"x5c\"",           "OTrPBrokerError", "\"TAQuery\"",
        "SDRequest\"", "TARequest\"",    "StateRequest\""};
    for (size_t i = 0; i < COUNT(words); i++)
        if (text.size && memmem(text.data, text.size, words[i], strlen(words[i])))
            return true;
    return false;
}

/* Where to go on behind a place that was read in vain up to stopped. */
static size_t again(struct scan *s, size_t start, size_t stopped, size_t more)
{
    size_t cost = (stopped > start ? stopped - start : 1) + more + AGAIN_BYTES;
    if (cost > s->budget) {
        s->budget = 0;
        return stopped > start ? stopped : start + 1;
    }
    s->budget -= cost;
    return start + 1;
}

/* Searches text, decoded from what stands from *i to end; in vain, that is searched as it is. */
static bool take_decoded(struct scan *s, size_t *i, const buffer *text, size_t end, unsigned how)
{
    bool found;
    if (!search_inside(s, buffer_span(text), *i, how, &found))
        return false;
    *i = found ? end : again(s, *i, end, 0);
    return true;
}

static bool take_json(struct scan *s, size_t *i)
{
    size_t start = *i, stopped = start;
    size_t end = json_plain_end(s->text, start, &stopped);
    if (end) {
        struct span text = SPAN(s->text.data + start, end - start);
        *i = end;
        return give(s, UNEARTHED_JSON, text, start, 0) || search_document(s, text, start, 0);
    }
    if (s->budget == 0) { /* from now on, only what is sound as it stands */
        *i = stopped > start ? stopped : start + 1;
        return true;
    }
    struct mended mended;
    if (!json_mend(s->text, start, &mended))
        return error_memory(s->err);
    AUTO(buffer) *text = mended.text;
    bool cut = mended.how & UNEARTHED_CUT;
    if ((!cut || unearth_knows(buffer_span(text))) &&
        give(s, UNEARTHED_JSON, buffer_span(text), start, mended.how)) {
        *i = mended.end;
        return true;
    }
    if (!cut) {
        *i = mended.end;
        return search_document(s, buffer_span(text), start, mended.how);
    }
    *i = again(s, start, stopped > mended.end ? stopped : mended.end, mended.ahead);
    return true;
}

/* JSON whose quotes are escaped, as in a string. */
static bool take_escaped(struct scan *s, size_t *i)
{
    size_t end;
    AUTO(buffer) *text = from_escapes(s->text, *i, &end);
    return text ? take_decoded(s, i, text, end, UNEARTHED_IN_STRING) : error_memory(s->err);
}

static bool take_percent(struct scan *s, size_t *i)
{
    size_t end;
    AUTO(buffer) *text = from_percent(s->text, *i, &end);
    return text ? take_decoded(s, i, text, end, UNEARTHED_PERCENT) : error_memory(s->err);
}

/* ---- PEM ---- */

static bool take_pem(struct scan *s, size_t *i)
{
    size_t end;
    bool prefixed, ended;
    AUTO(buffer) *text = pem_block(s->text, *i, &end, &prefixed, &ended);
    if (!text)
        return error_memory(s->err);
    bool given = ended &&
                 give(s, UNEARTHED_PEM, buffer_span(text), *i, prefixed ? UNEARTHED_PREFIXED : 0);
    *i = given ? end : again(s, *i, end, 0);
    return true;
}

/* ---- tokens ---- */

/* A token that may be a compact JWS or JWE; *taken: it was one. end is that of its first line. */
static bool take_compact(struct scan *s, size_t *i, size_t end, bool *taken)
{
    bool joined;
    size_t start = *i, stop;
    AUTO(buffer) *token = compact_read(s->text, start, &stop, &joined);
    if (!token)
        return error_memory(s->err);
    while (token->size && token->data[token->size - 1] == '.' && stop == end)
        token->size--; /* the end of a sentence */
    *taken = is_compact(buffer_span(token)) &&
             give(s, UNEARTHED_COMPACT, buffer_span(token), start, joined ? UNEARTHED_JOINED : 0);
    if (*taken)
        *i = stop;
    else
        s->budget -= stop - start < s->budget ? stop - start : s->budget;
    return true;
}

static bool take_token(struct scan *s, size_t *i)
{
    size_t start = *i, end = start;
    while (end < s->text.size && is_token(s->text.data[end]))
        end++;
    struct span token = SPAN(s->text.data + start, end - start);
    if (token.size < STRING_LEAST * 2) {
        *i = end;
        return true;
    }
    bool taken = false, hex = false, found;
    if (s->budget && (memchr(token.data, '.', token.size) || memcmp(token.data, "ey", 2) == 0) &&
        !take_compact(s, i, end, &taken))
        return false;
    if (taken)
        return true;
    *i = end;
    struct dump dump;
    if (!digits_read(s->text, start, &dump, &hex))
        return error_memory(s->err);
    AUTO(buffer) *bytes = dump.bytes;
    unsigned how = (hex ? UNEARTHED_HEX : UNEARTHED_BASE64) | (dump.joined ? UNEARTHED_JOINED : 0);
    if (!bytes)
        return true;
    if (!search_inside(s, buffer_span(bytes), start, how, &found))
        return false;
    if (dump.end > *i)
        *i = dump.end;
    return true;
}

static bool take_hex_dump(struct scan *s, size_t *i, bool *taken)
{
    struct dump dump;
    *taken = false;
    if (!hex_dump_read(s->text, *i, &s->budget, &dump))
        return error_memory(s->err);
    AUTO(buffer) *bytes = dump.bytes;
    if (!bytes)
        return true;
    struct dump all;
    if (!hex_dumps_join(s->text, &dump, &s->budget, &all))
        return error_memory(s->err);
    AUTO(buffer) *joined = all.bytes;
    if (joined && !search_inside(s, buffer_span(joined), *i,
                                 UNEARTHED_HEX | UNEARTHED_JOINED | UNEARTHED_DUMPS, taken))
        return false;
    if (*taken) {
        *i = all.end;
        return true;
    }
    if (!search_inside(s, buffer_span(bytes), *i,
                       UNEARTHED_HEX | (dump.joined ? UNEARTHED_JOINED : 0), taken))
        return false;
    /* a dump of something else is passed over as a whole: it is not read again line by line */
    if (*taken || dump.joined) {
        *i = dump.end;
        *taken = true;
    }
    return true;
}

/* The body of an HTTP message that comes in chunks. */
static bool take_chunks(struct scan *s, size_t *i, bool *taken)
{
    *taken = false;
    AUTO(buffer) *body = buffer_secret(1024);
    size_t end = body ? chunks_join(s->text, *i, body) : 0;
    if (!body || body->failed)
        return error_memory(s->err);
    if (end && !search_inside(s, buffer_span(body), *i, UNEARTHED_CHUNKS, taken))
        return false;
    if (*taken)
        *i = end;
    return true;
}

/* ---- whole texts ---- */

static bool take_one(struct scan *s, size_t *i)
{
    uint8_t c = s->text.data[*i];
    struct span text = s->text;
    size_t left = text.size - *i;
    if ((c == '{' || c == '[') && left > 3 && text.data[*i + 1] == '\\')
        return take_escaped(s, i);
    if ((c == '{' || c == '[') && json_begins(text, *i))
        return take_json(s, i);
    if (c == '-' && left > 11 && memcmp(text.data + *i, "-----BEGIN ", 11) == 0)
        return take_pem(s, i);
    if (c == '%' && left > 6 && memcmp(text.data + *i, "%7B%22", 6) == 0)
        return take_percent(s, i);
    size_t size = c == 0x30 && left > 8 ? der_size(text, *i) : 0;
    if (size && give(s, UNEARTHED_DER, SPAN(text.data + *i, size), *i, 0)) {
        *i += size;
        return true;
    }
    if (is_token(c) && c != '-' && c != '.')
        return take_token(s, i);
    ++*i;
    return true;
}

static bool scan_text(struct scan *s)
{
    s->budget = s->text.size * BUDGET_FACTOR + BUDGET_BASE;
    bool line_start = true;
    size_t chunks = 0;
    for (size_t i = 0; i < s->text.size;) {
        if (line_start) {
            bool taken = false;
            size_t body = chunked_body(s->text, i);
            if ((chunks && i == chunks && !take_chunks(s, &i, &taken)) ||
                (!taken && !take_hex_dump(s, &i, &taken)))
                return false;
            chunks = body ? body : chunks;
            line_start = taken && i && s->text.data[i - 1] == '\n';
            if (taken)
                continue;
        }
        size_t from = i;
        if (!take_one(s, &i))
            return false;
        line_start = i > from && s->text.data[i - 1] == '\n';
    }
    return true;
}

static bool search(struct scan *s, struct span text)
{
    s->text = text;
    bool utf16 = text.size > 3 && ((text.data[0] == 0xff && text.data[1] == 0xfe) ||
                                   (text.data[0] == 0xfe && text.data[1] == 0xff));
    bool printable = !utf16 && is_quoted_printable(text);
    if (!utf16 && !printable)
        return scan_text(s);
    AUTO(buffer) *plain = utf16 ? from_utf16(text) : from_quoted_printable(text);
    if (!plain)
        return error_memory(s->err);
    s->text = buffer_span(plain);
    s->how |= utf16 ? UNEARTHED_UTF16 : UNEARTHED_QUOTED_PRINTABLE;
    return scan_text(s);
}

bool unearth(struct span text, unearth_take take, void *context, struct error *err)
{
    struct scan s = {.take = take, .context = context, .err = err, .line = 1};
    return search(&s, text);
}

bool unearth_inside(struct span text, const struct unearthed *found, unsigned how,
                    unearth_take take, void *context, struct error *err)
{
    struct scan s = {.take = take,
                     .context = context,
                     .err = err,
                     .level = 1,
                     .how = found->how | how,
                     .inner = true,
                     .offset = found->offset,
                     .line = found->line};
    return search(&s, text);
}
