/* SPDX-License-Identifier: Apache-2.0 */
#include "otrp/unearth_json.h"

#include <ctype.h>
#include <string.h>

#include "otrp/unearth_form.h"

enum {
    CONTINUATION_BYTES = 512, /* of a line that may go on with a string */
    BEGIN_BYTES = 400         /* from a bracket to what follows it */
};

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

bool json_begins(struct span text, size_t i)
{
    bool object = text.data[i] == '{', lines = false;
    size_t most = i + BEGIN_BYTES < text.size ? i + BEGIN_BYTES : text.size;
    for (i++; i < most; i++) {
        uint8_t c = text.data[i];
        if (c && strchr("\"'&\xe2\xc2\xef\x93\x94", c))
            return true;
        if (c == '{' || c == '[')
            return !object;
        lines |= c == '\n';
        if (!isspace(c) && !(lines && (isalnum(c) || (c && strchr(">|:-.+", c)))))
            return false;
    }
    return false;
}

size_t json_plain_end(struct span text, size_t start, size_t *stopped)
{
    size_t depth = 0;
    const uint8_t *p = text.data;
    for (size_t i = start; i < text.size; i++) {
        uint8_t c = p[i];
        if (c == '"') {
            for (i++; i < text.size && p[i] != '"' && p[i] >= 0x20; i++)
                if (p[i] == '\\')
                    i++;
            if (i >= text.size || p[i] != '"') {
                *stopped = i < text.size ? i : text.size;
                return 0;
            }
        } else if (c == '{' || c == '[') {
            depth++;
        } else if (c == '}' || c == ']') {
            if (--depth == 0)
                return i + 1;
        } else if (!isalnum(c) && !(c && strchr(" \t\r\n,:.+-", c))) {
            *stopped = i;
            return 0;
        }
    }
    *stopped = text.size;
    return 0;
}

/* ---- the tolerant reader ---- */

enum quote { QUOTE_NONE, QUOTE_STRAIGHT, QUOTE_TYPOGRAPHIC, QUOTE_SINGLE, QUOTE_ENTITY };

#define QUOTE(bytes, quote)                                                                        \
    {                                                                                              \
        bytes, sizeof bytes - 1, quote                                                             \
    }

/* The quote at p and its length in bytes. */
static enum quote quote_at(const uint8_t *p, size_t left, size_t *length)
{
    static const struct {
        const char *bytes;
        size_t size;
        enum quote quote;
    } quotes[] = {QUOTE("\xe2\x80\x9c", QUOTE_TYPOGRAPHIC),
                  QUOTE("\xe2\x80\x9d", QUOTE_TYPOGRAPHIC),
                  QUOTE("\xe2\x80\x9e", QUOTE_TYPOGRAPHIC),
                  QUOTE("\xe2\x80\x9f", QUOTE_TYPOGRAPHIC),
                  QUOTE("\xe2\x80\xb3", QUOTE_TYPOGRAPHIC),
                  QUOTE("\xef\xbc\x82", QUOTE_TYPOGRAPHIC),
                  QUOTE("\xc2\xab", QUOTE_TYPOGRAPHIC),
                  QUOTE("\xc2\xbb", QUOTE_TYPOGRAPHIC),
                  QUOTE("\x93", QUOTE_TYPOGRAPHIC), /* Windows-1252 */
                  QUOTE("\x94", QUOTE_TYPOGRAPHIC),
                  QUOTE("\xe2\x80\x98", QUOTE_SINGLE),
                  QUOTE("\xe2\x80\x99", QUOTE_SINGLE),
                  QUOTE("&quot;", QUOTE_ENTITY),
                  QUOTE("&#34;", QUOTE_ENTITY)};
    *length = 1;
    if (p[0] == '"')
        return QUOTE_STRAIGHT;
    if (p[0] == '\'')
        return QUOTE_SINGLE;
    if (p[0] < 0x80 && p[0] != '&')
        return QUOTE_NONE;
    for (size_t i = 0; i < COUNT(quotes); i++) {
        if (left < quotes[i].size || p[0] != (uint8_t)quotes[i].bytes[0] ||
            memcmp(p, quotes[i].bytes, quotes[i].size) != 0)
            continue;
        *length = quotes[i].size;
        return quotes[i].quote;
    }
    return QUOTE_NONE;
}

/* What is expected next in the innermost container. */
enum state { WANT_VALUE, WANT_NAME, WANT_COLON, AFTER_VALUE };

struct reader {
    struct span text;
    struct span prefix;
    size_t at;
    buffer *out, *stack; /* of '{' and '[' */
    enum state state;
    unsigned how;
    size_t ahead;                 /* bytes that were looked at, to see how a line goes on */
    size_t string_at, string_out; /* where the last string begins, in text and in out */
};

/* Moves on over blanks, and over newlines with the prefixes behind them. */
static void skip_blanks(struct reader *r)
{
    while (r->at < r->text.size) {
        uint8_t c = r->text.data[r->at];
        if (c == '\n') {
            size_t next = prefix_skip(r->text, r->at + 1, r->prefix);
            if (r->prefix.size && next > r->at + 1)
                r->how |= UNEARTHED_PREFIXED;
            r->at = next;
        } else if (is_blank(c) ||
                   (c == 0xc2 && r->at + 1 < r->text.size && r->text.data[r->at + 1] == 0xa0)) {
            r->at += c == 0xc2 ? 2 : 1;
        } else {
            return;
        }
    }
}

/* Whether what follows at ends a string: a character of JSON that may stand behind one. */
static bool ends_string(const struct reader *r, size_t at)
{
    while (at < r->text.size && (is_blank(r->text.data[at]) || r->text.data[at] == '\n'))
        at++;
    return at < r->text.size && strchr(",:}]", r->text.data[at]) && r->text.data[at];
}

/* Whether the text at, behind a newline in a string, goes on with it: digits up to a quote or the
 * end of the line, or words with a closing quote near by. */
static bool continues(struct reader *r, size_t at)
{
    size_t most = at + CONTINUATION_BYTES < r->text.size ? at + CONTINUATION_BYTES : r->text.size;
    size_t length, i = at;
    if (at < most && r->text.data[at] == '{')
        return false;
    while (i < most && (isalnum(r->text.data[i]) || strchr("-_+/=.", r->text.data[i])) &&
           r->text.data[i])
        i++;
    if (i > at && (i == most || r->text.data[i] == '\n' || r->text.data[i] == '\r'))
        return true;
    for (; i < most; i++, r->ahead++)
        if (quote_at(r->text.data + i, r->text.size - i, &length) != QUOTE_NONE &&
            ends_string(r, i + length))
            return true;
        else if (r->text.data[i] < 0x20 && r->text.data[i] != '\n' && r->text.data[i] != '\r')
            return false;
    return false;
}

/* At a newline inside a string that began in out at start: joins the next line. False when the
 * string ends here, too early. */
static bool join_line(struct reader *r, size_t start)
{
    size_t next = prefix_skip(r->text, r->at + 1, r->prefix);
    if (!continues(r, next))
        return false;
    r->how |= UNEARTHED_JOINED;
    if (r->prefix.size && next > r->at + 1)
        r->how |= UNEARTHED_PREFIXED;
    bool words = r->out->size > start && memchr(r->out->data + start, ' ', r->out->size - start);
    while (r->out->size > start && r->out->data[r->out->size - 1] == ' ')
        r->out->size--;
    if (words)
        buffer_put_char(r->out, ' ');
    r->at = next;
    return true;
}

/* Copies what needs no thought: most of a long string. */
static void copy_run(struct reader *r)
{
    size_t start = r->at;
    while (r->at < r->text.size) {
        uint8_t c = r->text.data[r->at];
        if (!isalnum(c) && !(c && strchr("-_+/=., ", c)))
            break;
        r->at++;
    }
    buffer_put(r->out, r->text.data + start, r->at - start);
}

static bool closes(const struct reader *r, enum quote opened, enum quote found, size_t length)
{
    switch (opened) {
    case QUOTE_STRAIGHT:
        return found == QUOTE_STRAIGHT ||
               (found == QUOTE_TYPOGRAPHIC && ends_string(r, r->at + length));
    case QUOTE_TYPOGRAPHIC:
        return found == QUOTE_TYPOGRAPHIC || found == QUOTE_STRAIGHT;
    case QUOTE_SINGLE:
        return found == QUOTE_SINGLE && ends_string(r, r->at + length);
    default:
        return found == opened;
    }
}

/* The string whose opening quote is behind r->at. False when it ends too early. */
static bool read_string(struct reader *r, enum quote opened)
{
    buffer_put_char(r->out, '"');
    size_t start = r->out->size;
    r->string_at = r->at;
    r->string_out = start;
    while (copy_run(r), r->at < r->text.size) {
        const uint8_t *p = r->text.data + r->at;
        size_t left = r->text.size - r->at, length;
        enum quote found = quote_at(p, left, &length);
        if (found != QUOTE_NONE && closes(r, opened, found, length)) {
            r->at += length;
            buffer_put_char(r->out, '"');
            return true;
        }
        if (*p == '\n') {
            if (!join_line(r, start))
                return false;
        } else if (*p == '\r') {
            r->at++;
        } else if (*p == '\\' && left > 1 && p[1] >= 0x20) {
            bool plain = opened == QUOTE_SINGLE && p[1] == '\'';
            buffer_put(r->out, plain ? p + 1 : p, plain ? 1 : 2);
            r->at += 2;
        } else if (*p < 0x20 || *p == '"') {
            buffer_put_format(r->out, *p == '"' ? "\\\"" : "\\u%04x", *p);
            r->at++;
        } else {
            buffer_put_char(r->out, (char)*p);
            r->at++;
        }
    }
    return false;
}

static uint8_t innermost(const struct reader *r)
{
    return r->stack->data[r->stack->size - 1];
}

/* true, false, null, a number, or how Python writes the first three. */
static bool read_word(struct reader *r)
{
    static const char *const words[][2] = {{"true", "true"}, {"false", "false"}, {"null", "null"},
                                           {"True", "true"}, {"False", "false"}, {"None", "null"}};
    size_t start = r->at;
    while (r->at < r->text.size && r->at - start < CONTINUATION_BYTES &&
           (isalnum(r->text.data[r->at]) ||
            (r->text.data[r->at] && strchr("+-.", r->text.data[r->at]))))
        r->at++;
    struct span word = SPAN(r->text.data + start, r->at - start);
    for (size_t i = 0; i < COUNT(words); i++)
        if (span_is(word, words[i][0])) {
            buffer_put_text(r->out, words[i][1]);
            return true;
        }
    bool number = word.size && (isdigit(word.data[0]) || word.data[0] == '-');
    for (size_t i = 0; number && i < word.size; i++)
        number = isdigit(word.data[i]) || strchr("+-.eE", word.data[i]);
    if (number)
        buffer_put_span(r->out, word);
    else
        r->at = start;
    return number;
}

static void open_container(struct reader *r, uint8_t c)
{
    buffer_put_char(r->out, (char)c);
    buffer_put_char(r->stack, (char)c);
    r->state = c == '{' ? WANT_NAME : WANT_VALUE;
    r->at++;
}

static bool close_container(struct reader *r, uint8_t c)
{
    bool fits = r->stack->size && innermost(r) == (c == '}' ? '{' : '[');
    bool empty = r->out->size && r->out->data[r->out->size - 1] == innermost(r);
    if (!fits || r->state == WANT_COLON || (c == '}' && r->state == WANT_VALUE))
        return false;
    if (r->state != AFTER_VALUE && !empty) { /* behind a comma */
        r->out->size--;
        r->how |= UNEARTHED_COMMA;
    }
    buffer_put_char(r->out, (char)c);
    r->stack->size--;
    r->state = AFTER_VALUE;
    r->at++;
    return true;
}

/* One token; false where the text is no JSON any more. */
static bool read_token(struct reader *r)
{
    size_t length;
    uint8_t c = r->text.data[r->at];
    enum quote quote = quote_at(r->text.data + r->at, r->text.size - r->at, &length);
    if (quote != QUOTE_NONE) {
        if (r->state != WANT_NAME && r->state != WANT_VALUE)
            return false;
        if (quote != QUOTE_STRAIGHT)
            r->how |= UNEARTHED_QUOTES;
        r->at += length;
        if (!read_string(r, quote))
            return false;
        r->state = r->state == WANT_NAME ? WANT_COLON : AFTER_VALUE;
        return true;
    }
    if (c == '}' || c == ']')
        return close_container(r, c);
    if ((c == '{' || c == '[') && r->state == WANT_VALUE) {
        open_container(r, c);
        return true;
    }
    if (c == ':' && r->state == WANT_COLON) {
        r->state = WANT_VALUE;
    } else if (c == ',' && r->state == AFTER_VALUE) {
        r->state = innermost(r) == '{' ? WANT_NAME : WANT_VALUE;
    } else {
        bool word = r->state == WANT_VALUE && read_word(r);
        if (word)
            r->state = AFTER_VALUE;
        return word;
    }
    buffer_put_char(r->out, (char)c);
    r->at++;
    return true;
}

/* Closes what is open, so that what was there can be read. in_string: the last string lacks its
 * quote. */
static void close_all(struct reader *r, bool in_string)
{
    r->how |= UNEARTHED_CUT;
    if (in_string) {
        size_t back = 0; /* an escape that was cut in two */
        while (back < 6 && back < r->out->size && r->out->data[r->out->size - 1 - back] != '\\')
            back++;
        if (back < 6 && back < r->out->size && r->out->data[r->out->size - back] == 'u' && back < 5)
            r->out->size -= back + 1;
        buffer_put_char(r->out, '"');
        bool name = r->state == WANT_NAME || r->state == WANT_COLON;
        r->state = name ? WANT_COLON : AFTER_VALUE;
    }
    if (r->state == WANT_COLON)
        buffer_put_text(r->out, ":null");
    else if (r->out->size && r->out->data[r->out->size - 1] == ':')
        buffer_put_text(r->out, "null");
    else if (r->out->size && r->out->data[r->out->size - 1] == ',')
        r->out->size--;
    while (r->stack->size) {
        buffer_put_char(r->out, innermost(r) == '{' ? '}' : ']');
        r->stack->size--;
    }
}

/* A string that another object begins in was cut off there: it is the last one that was read. */
static void cut_string(struct reader *r)
{
    static const char object[] = "{\"";
    const uint8_t *next = r->string_at < r->at
                              ? memmem(r->text.data + r->string_at, r->at - r->string_at, object,
                                       sizeof object - 1)
                              : NULL;
    const uint8_t *brace = next ? memchr(r->out->data + r->string_out, '{',
                                         r->out->size - r->string_out)
                                : NULL;
    if (!brace)
        return;
    r->at = (size_t)(next - r->text.data);
    r->out->size = (size_t)(brace - r->out->data);
    r->out->data[r->out->size] = '\0';
}

/* Whether out ends inside a string: what read_string left behind when it failed. */
static bool ends_in_string(const buffer *out, size_t token)
{
    return out->size > token && out->data[token] == '"';
}

bool json_mend(struct span text, size_t start, struct mended *mended)
{
    struct reader r = {.text = text,
                       .prefix = prefix_of(text, start),
                       .at = start,
                       .out = buffer_secret(256),
                       .stack = buffer_new(64)};
    AUTO(buffer) *stack = r.stack;
    AUTO(buffer) *out = r.out;
    if (!stack || !out)
        return false;
    open_container(&r, text.data[start]);
    while (r.stack->size) {
        size_t token = r.out->size;
        skip_blanks(&r);
        if (r.at < text.size && read_token(&r))
            continue;
        if (!r.stack->size)
            break;
        size_t before = r.out->size;
        cut_string(&r);
        close_all(&r, r.out->size < before || ends_in_string(r.out, token));
    }
    if (out->failed || stack->failed)
        return false;
    *mended = (struct mended){.text = TAKE(out), .end = r.at, .how = r.how, .ahead = r.ahead};
    return true;
}
