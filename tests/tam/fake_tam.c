/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A TAM that says what it is told to, for send.bats and proxy.bats.
 *
 *     fake_tam FILE...
 *
 * Prints its URL and answers one request after another, each with the bytes of a file, headers and
 * all; then it closes the connection. The n-th request is in the file request-n by then. Of a file
 * whose name ends in ".part" it sends the bytes and keeps the connection open, until the client
 * ends it: an empty one is silence.
 */
#include <arpa/inet.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

static _Noreturn void die(const char *what)
{
    perror(what);
    exit(1);
}

static int listen_somewhere(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) != 0 || listen(fd, 8) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) != 0)
        die("listen");
    printf("http://127.0.0.1:%d/tam\n", ntohs(address.sin_port));
    if (fflush(stdout) != 0)
        die("stdout");
    return fd;
}

/* The bytes of the body that the headers announce. */
static size_t content_length(const char *headers)
{
    for (const char *line = headers; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncasecmp(line, "Content-Length:", 15) == 0)
            return strtoul(line + 15, NULL, 10);
    }
    return 0;
}

/* A whole request; its size in *size. */
static char *receive(int fd, size_t *size)
{
    char *data = NULL;
    size_t room = 0, wanted = SIZE_MAX;
    *size = 0;
    while (*size < wanted) {
        if (*size + 65536 > room) {
            room = 2 * room + 131072;
            data = realloc(data, room);
            if (!data)
                die("memory");
        }
        ssize_t n = read(fd, data + *size, 65536 - 1);
        if (n <= 0)
            break;
        *size += (size_t)n;
        data[*size] = '\0';
        char *end = strstr(data, "\r\n\r\n");
        if (end && wanted == SIZE_MAX) {
            *end = '\0';
            wanted = (size_t)(end - data) + 4 + content_length(data);
            *end = '\r';
        }
    }
    return data;
}

static void keep(int number, const char *data, size_t size)
{
    char path[32];
    snprintf(path, sizeof path, "request-%d", number);
    FILE *file = fopen(path, "w");
    if (!file || fwrite(data, 1, size, file) != size || fclose(file) != 0)
        die(path);
}

static void send_file(int fd, const char *path)
{
    char data[65536];
    FILE *file = fopen(path, "r");
    if (!file)
        die(path);
    for (size_t n; (n = fread(data, 1, sizeof data, file)) > 0;)
        if (write(fd, data, n) != (ssize_t)n)
            break;
    fclose(file);
}

static void wait_for_end(int fd)
{
    char data[4096];
    while (read(fd, data, sizeof data) > 0)
        ;
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    int listener = listen_somewhere();
    for (int i = 1; i < argc; i++) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0)
            die("accept");
        size_t size;
        char *request = receive(fd, &size);
        keep(i, request ? request : "", size);
        free(request);
        send_file(fd, argv[i]);
        const char *ending = strrchr(argv[i], '.');
        if (!ending || strcmp(ending, ".part") != 0)
            shutdown(fd, SHUT_WR);
        wait_for_end(fd);
        close(fd);
    }
    return 0;
}
