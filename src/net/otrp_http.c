/* SPDX-License-Identifier: Apache-2.0 */
#include "net/otrp_http.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* What this end can speak; the first that the other end accepts is used. */
static const char *const formats[] = {OTRP_MEDIA_TYPE};

/* text without blanks around it, up to length bytes. */
static struct span trim(const char *text, size_t length)
{
    while (length && (*text == ' ' || *text == '\t'))
        text++, length--;
    while (length && (text[length - 1] == ' ' || text[length - 1] == '\t'))
        length--;
    return SPAN(text, length);
}

static bool equals(struct span a, const char *text)
{
    return a.size == strlen(text) && strncasecmp((const char *)a.data, text, a.size) == 0;
}

bool content_type_is(const char *content_type, const char *media_type)
{
    return content_type && equals(trim(content_type, strcspn(content_type, ";")), media_type);
}

/* Whether the parameters of a media range say q=0: not acceptable (RFC 9110 section 12.4.2). */
static bool refused_by_weight(const char *parameters, size_t length)
{
    const char *end = parameters + length;
    while (parameters < end) {
        const char *next = memchr(parameters, ';', (size_t)(end - parameters));
        struct span p = trim(parameters, (size_t)((next ? next : end) - parameters));
        if (p.size > 2 && strncasecmp((const char *)p.data, "q=", 2) == 0)
            return strtod((const char *)p.data + 2, NULL) <= 0;
        parameters = next ? next + 1 : end;
    }
    return false;
}

/* How closely a media range names the type: 3 by name, 2 by its first half, 1 with any type, 0 not
 * at all. */
static int precision(struct span range, const char *media_type)
{
    size_t half = strcspn(media_type, "/") + 1;
    if (equals(range, media_type))
        return 3;
    if (range.size == half + 1 && range.data[half] == '*' &&
        strncasecmp((const char *)range.data, media_type, half) == 0)
        return 2;
    return equals(range, "*/*") ? 1 : 0;
}

bool accept_includes(const char *accept, const char *media_type)
{
    int closest = 0;
    bool included = false;
    while (accept && *accept) {
        size_t length = strcspn(accept, ","), type = strcspn(accept, ";,");
        int found = precision(trim(accept, type), media_type);
        if (found >
            closest) { /* the range that names it most closely decides (RFC 9110 section 12.5.1) */
            closest = found;
            included = !refused_by_weight(accept + type, length - type);
        }
        accept += length + (accept[length] == ',');
    }
    return included;
}

static bool refuse(struct http_reply *reply, int status)
{
    *reply = (struct http_reply){.status = status, .allow = status == 405 ? "POST" : NULL};
    return false;
}

bool otrp_http_accepts(const struct http_request *request, const char *path,
                       struct http_reply *reply)
{
    if (strcmp(request->path, path) != 0)
        return refuse(reply, 404);
    if (strcmp(request->method, "POST") != 0)
        return refuse(reply, 405);
    bool acceptable = false, known = request->body.size == 0;
    for (size_t i = 0; i < COUNT(formats); i++) {
        acceptable |= accept_includes(request->accept, formats[i]);
        known |= content_type_is(request->content_type, formats[i]);
    }
    if (!known)
        return refuse(reply, 415);
    return acceptable || refuse(reply, 406);
}
