/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTTP modules on their own, for http.bats. The folder of the modules is in $MODULES.
 *
 *     driver serve [OPTION]...       http-server.so; prints its URL, ends with SIGTERM
 *     driver post URL [OPTION]...    http-client.so; the body comes from standard input
 *     driver raw FILE...             answers one connection after another with the bytes of a file,
 *                                    whatever is asked, and prints the requests
 *     driver silent                  takes connections and says nothing, until they end
 *     driver full                    a port whose queue of connections is full
 *     driver crowd PORT PATH COUNT   that many connections at once; prints how many got a 200
 *         [FIFO]                     all become readable while the server's one thread is in
 * respond driver transcript FILE [force] two entries, of which one has a body that is no text
 */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/http_client.h"
#include "net/http_server.h"
#include "net/otrp_http.h"
#include "net/transcript.h"

static int refuse(const struct error *err)
{
    fprintf(stderr, "error: %s\n", err->message);
    if (err->hint[0])
        fprintf(stderr, "hint: %s\n", err->hint);
    return (int)err->rc;
}

static _Noreturn void die(const char *what)
{
    perror(what);
    exit(99);
}

static const void *module(const char *name, const char *symbol)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s.so", getenv("MODULES"), name);
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    const void *api = handle ? dlsym(handle, symbol) : NULL;
    if (!api) {
        fprintf(stderr, "%s\n", dlerror());
        exit(99);
    }
    return api;
}

/* The value behind --name in argv, or otherwise. */
static const char *option(int argc, char **argv, const char *name, const char *otherwise)
{
    for (int i = 0; i + 1 < argc; i++)
        if (strncmp(argv[i], "--", 2) == 0 && strcmp(argv[i] + 2, name) == 0)
            return argv[i + 1];
    return otherwise;
}

static long number(int argc, char **argv, const char *name, long otherwise)
{
    const char *text = option(argc, argv, name, NULL);
    return text ? strtol(text, NULL, 10) : otherwise;
}

static bool flag(int argc, char **argv, const char *name)
{
    for (int i = 0; i < argc; i++)
        if (strncmp(argv[i], "--", 2) == 0 && strcmp(argv[i] + 2, name) == 0)
            return true;
    return false;
}

/* serve */

/* Says that it is at work, and goes on when somebody has opened the FIFO and closed it again. */
static void hold(const char *fifo)
{
    puts("holding");
    fflush(stdout);
    int fd = open(fifo, O_RDONLY | O_CLOEXEC);
    char byte;
    while (fd >= 0 && read(fd, &byte, 1) > 0)
        ;
    close(fd);
}

static void respond(void *context, const struct http_request *request, struct http_reply *reply)
{
    const char *path = request->path;
    *reply = (struct http_reply){.status = 200, .content_type = "text/plain"};
    if (strcmp(path, "/echo") == 0) {
        reply->content_type = OTRP_MEDIA_TYPE;
        reply->body = buffer_copy(request->body);
    } else if (strcmp(path, "/none") == 0) {
        reply->status = 204;
        reply->body = buffer_copy(span_text("never sent"));
    } else if (strcmp(path, "/post-only") == 0) {
        reply->status = 405;
        reply->allow = "POST";
    } else if (strncmp(path, "/bytes/", 7) == 0) {
        size_t size = strtoull(path + 7, NULL, 10);
        reply->body = buffer_new(size);
        memset(buffer_reserve(reply->body, size), 'x', size);
        reply->body->size = size;
    } else if (strcmp(path, "/wrong") == 0) {
        reply->status = 42;
    } else {
        if (strcmp(path, "/hold") == 0)
            hold(context);
        reply->body = buffer_new(0);
        buffer_put_format(
            reply->body, "%s %s type=%s accept=%s authorization=%s bytes=%zu\n", request->method,
            path, request->content_type ? request->content_type : "-",
            request->accept ? request->accept : "-",
            request->authorization ? request->authorization : "-", request->body.size);
    }
}

static void access_log(void *context, const struct http_request *request, int status,
                       size_t bytes_in, size_t bytes_out, double elapsed_ms)
{
    (void)context;
    fprintf(stderr, "%s %s %s %d in=%zu out=%zu %s\n", request->peer, request->method,
            request->path, status, bytes_in, bytes_out, elapsed_ms >= 0 ? "timed" : "untimed");
}

static int serve(int argc, char **argv)
{
    const struct http_server_api *http = module("http-server", "http_server_api");
    sigset_t end;
    sigemptyset(&end);
    sigaddset(&end, SIGTERM);
    sigprocmask(SIG_BLOCK, &end, NULL);
    struct error err = {0};
    struct http_server *server = http->start(
        &(struct http_server_options){
            .listen = option(argc, argv, "listen", "127.0.0.1:0"),
            .threads = (unsigned)number(argc, argv, "threads", 0),
            .max_bytes = (size_t)number(argc, argv, "max", 1 << 20),
            .deadline_ms = (unsigned)number(argc, argv, "deadline", 0),
            .max_connections = (unsigned)number(argc, argv, "connections", 0),
            .tls_cert = option(argc, argv, "tls-cert", NULL),
            .tls_key = option(argc, argv, "tls-key", NULL),
            .respond = respond,
            .log = access_log,
            .context = (void *)option(argc, argv, "fifo", "/dev/null"),
        },
        &err);
    if (!server)
        return refuse(&err);
    puts(http->url(server));
    fflush(stdout);
    int signal;
    sigwait(&end, &signal);
    puts("stopping");
    fflush(stdout);
    http->stop(server);
    puts("stopped");
    return 0;
}

/* post */

static buffer *read_stdin(void)
{
    buffer *body = buffer_new(0);
    for (;;) {
        uint8_t *to = buffer_reserve(body, 65536);
        ssize_t n = to ? read(STDIN_FILENO, to, 65536) : -1;
        if (n < 0)
            die("standard input");
        if (n == 0)
            return body;
        body->size += (size_t)n;
    }
}

static int post(int argc, char **argv)
{
    const struct http_client_api *http = module("http-client", "http_client_api");
    const char *headers[8];
    struct text_list list = {.items = headers};
    for (int i = 1; i + 1 < argc && list.count < COUNT(headers); i++)
        if (strcmp(argv[i], "--header") == 0)
            headers[list.count++] = argv[i + 1];
    struct error err = {0};
    struct http_client *client = http->open(
        &(struct http_client_options){
            .url = argv[0],
            .accept = option(argc, argv, "accept", NULL),
            .timeout_ms = number(argc, argv, "timeout", 60000),
            .connect_timeout_ms = number(argc, argv, "connect-timeout", 0),
            .max_bytes = (size_t)number(argc, argv, "max", 1 << 20),
            .cacert = option(argc, argv, "cacert", NULL),
            .cert = option(argc, argv, "cert", NULL),
            .key = option(argc, argv, "key", NULL),
            .headers = &list,
            .follow_redirects = flag(argc, argv, "follow"),
        },
        &err);
    if (!client)
        return refuse(&err);
    AUTO(buffer) *body = read_stdin();
    int code = 0;
    for (long i = number(argc, argv, "repeat", 1); i > 0 && !code; i--) {
        struct http_answer answer;
        if (!http->post(client, buffer_span(body), &answer, &err)) {
            code = refuse(&err);
            break;
        }
        printf("status=%d type=%s bytes=%zu %s\n", answer.status, answer.content_type,
               answer.body->size, answer.elapsed_ms > 0 ? "timed" : "untimed");
        if (flag(argc, argv, "show-headers"))
            fwrite(answer.headers->data, 1, answer.headers->size, stdout);
        fwrite(answer.body->data, 1, answer.body->size, stdout);
    }
    http->close(client);
    return code;
}

/* raw, silent, full: peers that no well-behaved server could play */

static int listen_loopback(int backlog, struct sockaddr_in *address)
{
    *address = (struct sockaddr_in){.sin_family = AF_INET,
                                    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof *address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)address, size) != 0 || listen(fd, backlog) != 0 ||
        getsockname(fd, (struct sockaddr *)address, &size) != 0)
        die("listen");
    printf("http://127.0.0.1:%u\n", ntohs(address->sin_port));
    fflush(stdout);
    return fd;
}

/* Reads to the end of a request: its headers and as much as they announce. */
static void read_request(int fd, buffer *request)
{
    size_t wanted = SIZE_MAX;
    while (request->size < wanted) {
        uint8_t *to = buffer_reserve(request, 4096);
        ssize_t n = to ? read(fd, to, 4096) : -1;
        if (n <= 0)
            return;
        request->size += (size_t)n;
        request->data[request->size] = '\0';
        const char *text = (const char *)request->data, *end = strstr(text, "\r\n\r\n");
        const char *length = strcasestr(text, "\r\nContent-Length:");
        if (end)
            wanted = (size_t)(end + 4 - text) + (length ? strtoul(length + 17, NULL, 10) : 0);
    }
}

static int raw(int count, char **files)
{
    struct sockaddr_in address;
    int listener = listen_loopback(16, &address);
    for (int i = 0; i < count; i++) {
        int fd = accept(listener, NULL, NULL), file = open(files[i], O_RDONLY | O_CLOEXEC);
        if (fd < 0 || file < 0)
            die(files[i]);
        AUTO(buffer) *request = buffer_new(0);
        read_request(fd, request);
        fwrite(request->data, 1, request->size, stdout);
        fflush(stdout);
        char bytes[4096];
        for (ssize_t n; (n = read(file, bytes, sizeof bytes)) > 0;)
            if (send(fd, bytes, (size_t)n, MSG_NOSIGNAL) != n)
                break;
        close(file);
        close(fd);
    }
    return 0;
}

static int silent(void)
{
    struct sockaddr_in address;
    int listener = listen_loopback(16, &address);
    int fd = accept(listener, NULL, NULL);
    char bytes[4096];
    while (read(fd, bytes, sizeof bytes) > 0)
        ;
    return 0;
}

static int full(void)
{
    struct sockaddr_in address;
    listen_loopback(0, &address);
    for (int i = 0; i < 4; i++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
            continue; /* under way, or refused: either fills the queue or finds it full */
    }
    puts("full");
    fflush(stdout);
    pause();
    return 0;
}

/* crowd */

static void send_all(const int *fds, int count, const char *text)
{
    for (int i = 0; i < count; i++)
        if (send(fds[i], text, strlen(text), MSG_NOSIGNAL) != (ssize_t)strlen(text))
            die("send");
}

static bool is_answered(int fd)
{
    char answer[4096];
    size_t size = 0;
    for (ssize_t n; size < sizeof answer - 1; size += (size_t)n)
        if ((n = read(fd, answer + size, sizeof answer - 1 - size)) <= 0)
            break;
    answer[size] = '\0';
    return strncmp(answer, "HTTP/1.1 200", 12) == 0 && strstr(answer, "\r\n\r\nhello");
}

static int connect_to(const char *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)atoi(port)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        die("connect");
    return fd;
}

/* Sends what all wait for while the server's thread is held. */
static void send_at_once(const int *fds, int count, const char *port, const char *fifo)
{
    char line[256];
    for (int i = 0; i < count; i++)
        if (read(fds[i], line, sizeof line) < 12 || memcmp(line, "HTTP/1.1 100", 12) != 0)
            die("100 Continue");
    int held = connect_to(port);
    send_all(&held, 1, "GET /hold HTTP/1.0\r\n\r\n");
    int release = open(fifo, O_WRONLY | O_CLOEXEC); /* returns when the server has opened it */
    send_all(fds, count, "hello");
    close(release);
}

static int crowd(const char *port, const char *path, int count, const char *fifo)
{
    int *fds = calloc((size_t)count, sizeof *fds), answered = 0;
    for (int i = 0; i < count; i++)
        fds[i] = connect_to(port);
    char head[512];
    snprintf(head, sizeof head,
             "POST %s HTTP/1.1\r\nHost: t\r\nConnection: close\r\nContent-Length: 5\r\n%s\r\n",
             path, fifo ? "Expect: 100-continue\r\n" : "");
    send_all(fds, count, head);
    if (fifo)
        send_at_once(fds, count, port, fifo);
    else
        send_all(fds, count, "hello");
    for (int i = 0; i < count; i++)
        answered += is_answered(fds[i]);
    printf("%d\n", answered);
    free(fds);
    return 0;
}

static int write_transcript(const char *path, bool force)
{
    struct error err = {0};
    AUTO(transcript) *wire = transcript_open(path, force, &err);
    if (path && !wire)
        return refuse(&err);
    struct clock noon = {.fixed = true, .at = 1795255200};
    struct transcript_entry request = {
        .direction = TRANSCRIPT_REQUEST,
        .from = "tee",
        .to = "tam",
        .url = "http://127.0.0.1/tam",
        .body = span_text("{\"a\":\"\\u00e9\"}\n"),
        .clock = &noon,
    };
    struct transcript_entry response = {
        .direction = TRANSCRIPT_RESPONSE,
        .from = "tam",
        .to = "tee",
        .url = "http://127.0.0.1/tam",
        .status = 200,
        .headers = span_text("HTTP/1.1 200 OK\r\nX-Latin: \xe9\r\n\r\n"),
        .body = SPAN("\xff\xfe", 2),
        .elapsed_ms = 1.25,
    };
    if (!transcript_put(wire, &request, &err) || !transcript_put(wire, &response, &err))
        return refuse(&err);
    return 0;
}

int main(int argc, char **argv)
{
    const char *role = argc > 1 ? argv[1] : "";
    if (strcmp(role, "serve") == 0)
        return serve(argc - 2, argv + 2);
    if (strcmp(role, "post") == 0 && argc > 2)
        return post(argc - 2, argv + 2);
    if (strcmp(role, "raw") == 0)
        return raw(argc - 2, argv + 2);
    if (strcmp(role, "silent") == 0)
        return silent();
    if (strcmp(role, "full") == 0)
        return full();
    if (strcmp(role, "crowd") == 0 && argc > 4)
        return crowd(argv[2], argv[3], atoi(argv[4]), argc > 5 ? argv[5] : NULL);
    if (strcmp(role, "transcript") == 0 && argc > 2)
        return write_transcript(argc > 2 && argv[2][0] ? argv[2] : NULL, argc > 3);
    fprintf(stderr, "see the comment at the top of driver.c\n");
    return 99;
}
