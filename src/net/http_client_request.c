/* SPDX-License-Identifier: Apache-2.0 */
/* What of a client's options stands in its requests: parts of the URL, and the headers. */
#include "net/http_client_inside.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "net/otrp_http.h"

typedef char curl_text;

AUTO_DEFINE(CURLU, curl_url_cleanup)
AUTO_DEFINE(curl_text, curl_free)

/* The URL without what a log must not show. */
static char *url_name(CURLU *url, const char *given)
{
    AUTO(curl_text) *user = NULL;
    AUTO(curl_text) *shown = NULL;
    if (curl_url_get(url, CURLUPART_USER, &user, 0) != CURLUE_OK)
        return strdup(given);
    if (curl_url_set(url, CURLUPART_USER, NULL, 0) != CURLUE_OK ||
        curl_url_set(url, CURLUPART_PASSWORD, NULL, 0) != CURLUE_OK ||
        curl_url_get(url, CURLUPART_URL, &shown, 0) != CURLUE_OK)
        return NULL;
    return strdup(shown);
}

char *request_url_name(const char *given)
{
    AUTO(CURLU) *url = curl_url();
    if (!url || curl_url_set(url, CURLUPART_URL, given, CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK)
        return NULL;
    return url_name(url, given);
}

/* What of the URL stands in a request. */
static bool url_parts(struct http_client *client, CURLU *url, const char *scheme, const char *host)
{
    AUTO(curl_text) *port = NULL;
    AUTO(curl_text) *path = NULL;
    AUTO(curl_text) *query = NULL;
    AUTO(curl_text) *user = NULL;
    client->credentials = curl_url_get(url, CURLUPART_USER, &user, 0) == CURLUE_OK;
    bool named = curl_url_get(url, CURLUPART_PORT, &port, 0) == CURLUE_OK &&
                 strcmp(port, strcasecmp(scheme, "https") == 0 ? "443" : "80") != 0;
    if (curl_url_get(url, CURLUPART_PATH, &path, 0) != CURLUE_OK)
        return false;
    bool asks = curl_url_get(url, CURLUPART_QUERY, &query, 0) == CURLUE_OK;
    if (asprintf(&client->authority, "%s%s%s", host, named ? ":" : "", named ? port : "") < 0)
        client->authority = NULL;
    if (asprintf(&client->target, "%s%s%s", path, asks ? "?" : "", asks ? query : "") < 0)
        client->target = NULL;
    return client->authority && client->target;
}

bool request_url(struct http_client *client, const char *given, struct error *err)
{
    AUTO(CURLU) *url = curl_url();
    AUTO(curl_text) *scheme = NULL;
    AUTO(curl_text) *host = NULL;
    if (!url)
        return error_memory(err);
    CURLUcode code = curl_url_set(url, CURLUPART_URL, given, CURLU_NON_SUPPORT_SCHEME);
    if (code == CURLUE_OUT_OF_MEMORY)
        return error_memory(err);
    if (code != CURLUE_OK || curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK) {
        error_set(err, RC_USAGE, "'%s' is no URL: %s", given,
                  code ? curl_url_strerror(code) : "it has no scheme");
        return error_hint(err, "write it as http://HOST:PORT/PATH or https://...");
    }
    if (strcasecmp(scheme, "http") != 0 && strcasecmp(scheme, "https") != 0)
        return error_set(err, RC_USAGE, "%s: only http and https are spoken, not %s", given,
                         scheme);
    if (curl_url_get(url, CURLUPART_HOST, &host, 0) != CURLUE_OK || !*host)
        return error_set(err, RC_USAGE, "'%s' is no URL: it names no host", given);
    client->host = strdup(host);
    client->name = url_name(url, given);
    return (client->host && client->name && url_parts(client, url, scheme, host)) ||
           error_memory(err);
}

static bool header_check(const char *header, struct error *err)
{
    static const char separators[] = "()<>@,;:\\\"/[]?={} ";
    for (const char *c = header; *c; c++)
        if (iscntrl((unsigned char)*c))
            return error_set(err, RC_USAGE, "--header: control character at offset %td",
                             c - header);
    const char *colon = strchr(header, ':');
    if (!colon || colon == header || strcspn(header, separators) < (size_t)(colon - header)) {
        error_set(err, RC_USAGE, "--header: '%s' is no header", header);
        return error_hint(err, "write it as 'Name: value'");
    }
    return true;
}

bool header_given(const struct text_list *headers, const char *name)
{
    size_t length = strlen(name);
    for (size_t i = 0; headers && i < headers->count; i++)
        if (strncasecmp(headers->items[i], name, length) == 0 && headers->items[i][length] == ':')
            return true;
    return false;
}

static bool list_put(struct curl_slist **list, const char *line)
{
    struct curl_slist *longer = curl_slist_append(*list, line);
    if (longer)
        *list = longer;
    return longer;
}

/* The request headers; a header of ours gives way to the user's. An empty value takes curl's own
 * header away. */
static struct curl_slist *headers_make(const struct http_client_options *options,
                                       const char *content_type)
{
    const struct {
        const char *name, *value;
    } ours[] = {
        {"Accept", options->accept ? options->accept : OTRP_MEDIA_TYPE},
        {"Content-Type", content_type},
        {"Expect", ""}, /* no wait for a 100 that few servers send */
    };
    AUTO(curl_slist) *list = NULL;
    for (size_t i = 0; i < COUNT(ours); i++) {
        if (header_given(options->headers, ours[i].name))
            continue;
        AUTO(char) *line = NULL;
        if (asprintf(&line, "%s: %s", ours[i].name, ours[i].value) < 0)
            line = NULL;
        if (!line || !list_put(&list, line))
            return NULL;
    }
    for (size_t i = 0; options->headers && i < options->headers->count; i++)
        if (!list_put(&list, options->headers->items[i]))
            return NULL;
    return TAKE(list);
}

bool request_headers(struct http_client *client, const struct http_client_options *options,
                     struct error *err)
{
    AUTO(char) *accept = NULL;
    if (asprintf(&accept, "Accept: %s", options->accept ? options->accept : "") < 0)
        accept = NULL;
    if (!accept)
        return error_memory(err);
    if (!header_check(accept, err))
        return error_set(err, RC_USAGE, "--accept: control character in the media type");
    for (size_t i = 0; options->headers && i < options->headers->count; i++)
        if (!header_check(options->headers->items[i], err))
            return false;
    client->with_body = headers_make(options, OTRP_MEDIA_TYPE);
    client->without_body = headers_make(options, "");
    return (client->with_body && client->without_body) || error_memory(err);
}

buffer *request_preview(const struct http_client *client, struct span body)
{
    AUTO(buffer) *out = buffer_new(512);
    if (!out)
        return NULL;
    buffer_put_format(out, "POST %s HTTP/1.1\r\n", client->target);
    if (client->own_host)
        buffer_put_format(out, "Host: %s\r\n", client->authority);
    if (client->credentials)
        buffer_put_text(out, "Authorization: Basic (not shown)\r\n");
    if (client->own_agent)
        buffer_put_text(out, "User-Agent: " USER_AGENT "\r\n");
    for (const struct curl_slist *line = body.size ? client->with_body : client->without_body; line;
         line = line->next) {
        const char *value = strchr(line->data, ':');
        if (value && value[1 + strspn(value + 1, " \t")]) /* an empty one takes a header away */
            buffer_put_format(out, "%s\r\n", line->data);
    }
    buffer_put_format(out, "Content-Length: %zu\r\n\r\n", body.size);
    return out->failed ? NULL : TAKE(out);
}
