/* SPDX-License-Identifier: Apache-2.0 */
/* Why there is no HTTP answer: one sentence with the URL and the reason, and what to do next. */
#include "net/http_client_inside.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <openssl/x509_vfy.h>

/* The text as it stands after a colon: with a small first letter, unless its first word is a name
 * such as OpenSSL. */
static void put_reason(char *to, size_t size, const char *text)
{
    snprintf(to, size, "%s", strncmp(text, "SSL: ", 5) == 0 ? text + 5 : text);
    to[strcspn(to, "\r\n")] = '\0';
    size_t word = strcspn(to, " ");
    if (word > 1 && strspn(to + 1, "abcdefghijklmnopqrstuvwxyz") >= word - 1)
        to[0] = (char)tolower((unsigned char)to[0]);
}

static bool fail_connect(const struct http_client *client, const char *url, const char *reason,
                         struct error *err)
{
    long number = 0;
    curl_easy_getinfo(client->easy, CURLINFO_OS_ERRNO, &number);
    char text[CURL_ERROR_SIZE];
    put_reason(text, sizeof text, number ? strerror((int)number) : reason);
    error_set(err, RC_TRANSPORT, "%s: %s", url, text);
    if (number == ECONNREFUSED)
        return error_hint(err, "nothing listens there: is the peer running, is the port right?");
    return error_hint(err, "check the address and the network between here and %s", client->host);
}

static bool fail_time(const struct http_client *client, const char *url, struct error *err)
{
    /* also set for a kept connection, unlike the time of connecting */
    curl_off_t ready_us = 0, received = 0;
    curl_easy_getinfo(client->easy, CURLINFO_PRETRANSFER_TIME_T, &ready_us);
    curl_easy_getinfo(client->easy, CURLINFO_SIZE_DOWNLOAD_T, &received);
    if (ready_us == 0) {
        long ms = client->connect_timeout_ms;
        if (client->timeout_ms && client->timeout_ms < ms)
            ms = client->timeout_ms;
        error_set(err, RC_TRANSPORT, "%s: no connection within %ld ms", url, ms);
        return error_hint(err, "is the host up, and does a firewall let the port through?");
    }
    if (client->headers->size == 0) {
        error_set(err, RC_TRANSPORT, "%s: connected, but no answer within %ld ms", url,
                  client->timeout_ms);
        return error_hint(err, "the peer took the request and said nothing; a longer time-out "
                               "helps if it is only slow");
    }
    error_set(err, RC_TRANSPORT, "%s: the answer was not complete within %ld ms (%lld bytes came)",
              url, client->timeout_ms, (long long)received);
    return error_hint(err, "a longer time-out helps if the peer is only slow");
}

static bool fail_certificate(const struct http_client *client, const char *url, const char *reason,
                             struct error *err)
{
    /* the name is judged before the chain: then there is no verdict on the chain */
    long verdict = X509_V_ERR_UNSPECIFIED;
    curl_easy_getinfo(client->easy, CURLINFO_SSL_VERIFYRESULT, &verdict);
    bool judged = verdict != X509_V_OK && verdict != X509_V_ERR_UNSPECIFIED;
    if (!judged && strstr(reason, "host name")) {
        error_set(err, RC_TRANSPORT, "%s: the TLS certificate names another host: %s", url, reason);
        error_rule(err, "RFC 6125 section 6");
        return error_hint(err, "use a name from the certificate's subjectAltName in the URL");
    }
    error_set(err, RC_TRANSPORT, "%s: the TLS certificate is not trusted: %s", url,
              judged ? X509_verify_cert_error_string(verdict) : reason);
    if (verdict == X509_V_ERR_CERT_HAS_EXPIRED || verdict == X509_V_ERR_CERT_NOT_YET_VALID)
        return error_hint(err, "the server needs a new one, or the clock of this machine is wrong");
    return error_hint(err, client->cacert ? "is the file given with --cacert the issuer's?"
                                          : "--cacert FILE names the certificate to trust");
}

static bool fail_tls(const struct http_client *client, const char *url, const char *reason,
                     struct error *err)
{
    bool closed = strstr(reason, "SSL_ERROR_SYSCALL") || strstr(reason, "unexpected eof");
    error_set(err, RC_TRANSPORT, "%s: no TLS connection: %s", url,
              closed ? "the peer closed it during the handshake" : reason);
    if (closed || strstr(reason, "wrong version number") || strstr(reason, "packet length"))
        return error_hint(err, "does the peer speak TLS on this port, or is it http://?");
    if (!client->cert)
        return error_hint(err, "if the peer asks for a client certificate: --cert and --key");
    return false;
}

/* How a connection ended that was there, without a whole answer. */
static bool fail_answer(const struct http_client *client, CURLcode code, const char *url,
                        const char *reason, struct error *err)
{
    if (strstr(reason, "certificate required")) { /* of TLS 1.3, behind the handshake */
        error_set(err, RC_TRANSPORT, "%s: the peer asks for a client certificate%s", url,
                  client->cert ? ", and does not take this one" : "");
        return error_hint(err, "--cert and --key give one");
    }
    switch (code) {
    case CURLE_GOT_NOTHING:
        error_set(err, RC_TRANSPORT, "%s: empty reply: the peer closed the connection", url);
        return error_hint(err, "it may have crashed, refuse what it was sent, or speak https only");
    case CURLE_PARTIAL_FILE:
        error_set(err, RC_TRANSPORT, "%s: the answer ended too early, after %zu bytes", url,
                  client->body->size);
        return error_hint(err, "the peer closed the connection before all it had announced");
    case CURLE_TOO_MANY_REDIRECTS:
        return error_set(err, RC_TRANSPORT, "%s: more than %ld redirects", url, REDIRECTS);
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WEIRD_SERVER_REPLY:
        error_set(err, RC_TRANSPORT, "%s: no HTTP answer: %s", url, reason);
        return error_hint(err, "is this the port of an HTTP server?");
    default:
        return error_set(err, RC_TRANSPORT, "%s: %s", url, reason);
    }
}

static bool fail_size(const struct http_client *client, const char *url, struct error *err)
{
    if (client->headers_too_large)
        return error_set(err, RC_MALFORMED, "%s: the answer's headers exceed %d bytes", url,
                         HEADER_BYTES);
    return error_set(err, RC_MALFORMED, "%s: the answer exceeds the %zu bytes allowed", url,
                     client->max_bytes);
}

bool failure(const struct http_client *client, CURLcode code, struct error *err)
{
    long redirects = 0;
    const char *effective = NULL;
    curl_easy_getinfo(client->easy, CURLINFO_REDIRECT_COUNT, &redirects);
    if (redirects)
        curl_easy_getinfo(client->easy, CURLINFO_EFFECTIVE_URL, &effective);
    AUTO(char) *led = effective ? request_url_name(effective) : NULL;
    const char *url = led ? led : client->name;
    char reason[CURL_ERROR_SIZE];
    put_reason(reason, sizeof reason,
               client->reason[0] ? client->reason : curl_easy_strerror(code));
    if (client->body_too_large || client->headers_too_large || code == CURLE_FILESIZE_EXCEEDED)
        return fail_size(client, url, err);
    if (client->body->failed || client->headers->failed)
        return error_memory(err);
    switch (code) {
    case CURLE_OUT_OF_MEMORY:
        return error_memory(err);
    case CURLE_COULDNT_CONNECT:
        return fail_connect(client, url, reason, err);
    case CURLE_COULDNT_RESOLVE_HOST:
        error_set(err, RC_TRANSPORT, "%s: %s", url, reason);
        return error_hint(err, "is the name right, and does DNS answer?");
    case CURLE_COULDNT_RESOLVE_PROXY:
        error_set(err, RC_TRANSPORT, "%s: %s", url, reason);
        return error_hint(err, "the proxy comes from http_proxy or https_proxy");
    case CURLE_OPERATION_TIMEDOUT:
        return fail_time(client, url, err);
    case CURLE_PEER_FAILED_VERIFICATION:
        return fail_certificate(client, url, reason, err);
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
        return error_set(err, RC_USAGE, "%s: %s", url, reason);
    case CURLE_SSL_CONNECT_ERROR:
        return fail_tls(client, url, reason, err);
    default:
        return fail_answer(client, code, url, reason, err);
    }
}
