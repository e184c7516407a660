/* SPDX-License-Identifier: Apache-2.0 */
/* Streams: curl finds the host, connects, and checks the certificate; what goes over it is not its
 * concern. */
#include "net/http_client_inside.h"

struct http_stream {
    struct http_client *client;
    int fd;
};

struct http_stream *stream_dial(const struct http_client_options *options, bool *timed_out,
                                struct error *err)
{
    *timed_out = false;
    AUTO(http_client) *client = client_open(options, err);
    struct http_stream *stream = client ? calloc(1, sizeof *stream) : NULL;
    if (!stream) {
        if (client)
            error_memory(err);
        return NULL;
    }
    CURLcode code = SET(CURLOPT_CONNECT_ONLY, 1L) && SET(CURLOPT_HTTPPROXYTUNNEL, 1L)
                        ? client_perform(client->easy)
                        : CURLE_OUT_OF_MEMORY;
    curl_socket_t fd = CURL_SOCKET_BAD;
    if (code == CURLE_OK)
        code = curl_easy_getinfo(client->easy, CURLINFO_ACTIVESOCKET, &fd);
    if (code != CURLE_OK || fd == CURL_SOCKET_BAD) {
        *timed_out = code == CURLE_OPERATION_TIMEDOUT;
        failure(client, code == CURLE_OK ? CURLE_COULDNT_CONNECT : code, err);
        free(stream);
        return NULL;
    }
    *stream = (struct http_stream){.client = TAKE(client), .fd = fd};
    return stream;
}

static ssize_t stream_result(CURLcode code, size_t size)
{
    return code == CURLE_AGAIN ? STREAM_AGAIN : code == CURLE_OK ? (ssize_t)size : STREAM_FAILED;
}

ssize_t stream_send(struct http_stream *stream, struct span data)
{
    size_t sent = 0;
    CURLcode code = curl_easy_send(stream->client->easy, data.data, data.size, &sent);
    return stream_result(code, sent);
}

ssize_t stream_receive(struct http_stream *stream, void *data, size_t size)
{
    size_t received = 0;
    CURLcode code = curl_easy_recv(stream->client->easy, data, size, &received);
    return stream_result(code, received);
}

int stream_fd(const struct http_stream *stream)
{
    return stream->fd;
}

void stream_hang_up(struct http_stream *stream)
{
    if (!stream)
        return;
    client_close(stream->client);
    free(stream);
}
