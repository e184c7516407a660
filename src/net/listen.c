/* SPDX-License-Identifier: Apache-2.0 */
#include "net/listen.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 4096

struct endpoint {
    char *host;       /* as given, without brackets */
    const char *port; /* into the options' text */
};

static bool bad_listen(const char *listen, struct error *err)
{
    error_set(err, RC_USAGE, "'%s' is no address to listen on", listen);
    return error_hint(err, "write it as 127.0.0.1:8080 or [::1]:8080; port 0 picks a free one");
}

static bool endpoint_parse(struct endpoint *e, const char *listen, struct error *err)
{
    bool bracketed = listen[0] == '[';
    const char *colon = strrchr(listen, ':');
    const char *host = listen + bracketed;
    const char *end = bracketed ? strchr(listen, ']') : colon;
    if (!colon || !end || end == host || (bracketed && end + 1 != colon))
        return bad_listen(listen, err);
    if (!bracketed && memchr(host, ':', (size_t)(end - host)))
        return bad_listen(listen, err);
    e->port = colon + 1;
    size_t digits = strspn(e->port, "0123456789");
    if (digits == 0 || digits > 5 || e->port[digits] || strtoul(e->port, NULL, 10) > 65535)
        return bad_listen(listen, err);
    e->host = strndup(host, (size_t)(end - host));
    return e->host || error_memory(err);
}

/* A listening socket, or -1 with errno set. */
static int listen_at(const struct addrinfo *address)
{
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (address->ai_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (bind(fd, address->ai_addr, address->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int reason = errno;
    close(fd);
    errno = reason;
    return -1;
}

static int endpoint_listen(const struct endpoint *e, const char *name, struct error *err)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV}, *addresses;
    int failure = getaddrinfo(e->host, e->port, &hints, &addresses);
    if (failure) {
        error_set(err, RC_TRANSPORT, "%s: cannot find the address: %s", name,
                  gai_strerror(failure));
        return -1;
    }
    int fd = -1;
    for (const struct addrinfo *a = addresses; a && fd < 0; a = a->ai_next)
        fd = listen_at(a);
    int reason = errno;
    freeaddrinfo(addresses);
    if (fd >= 0)
        return fd;
    errno = reason;
    error_errno(err, RC_TRANSPORT, "%s: cannot listen", name);
    if (reason == EADDRINUSE)
        error_hint(err, "another program listens there; port 0 picks a free one");
    else if (reason == EACCES)
        error_hint(err, "ports below 1024 need a privilege; port 0 picks a free one");
    return -1;
}

static unsigned port_of(int fd)
{
    struct sockaddr_storage address = {0};
    socklen_t size = sizeof address;
    char port[8] = "0";
    if (getsockname(fd, (struct sockaddr *)&address, &size) == 0)
        getnameinfo((struct sockaddr *)&address, size, NULL, 0, port, sizeof port, NI_NUMERICSERV);
    return (unsigned)strtoul(port, NULL, 10);
}

int listen_open(const char *listen, bool tls, char **url, struct error *err)
{
    struct endpoint e = {0};
    if (!endpoint_parse(&e, listen, err))
        return -1;
    AUTO(char) *host = e.host;
    int fd = endpoint_listen(&e, listen, err);
    if (fd < 0)
        return -1;
    const char *form = strchr(host, ':') ? "%s://[%s]:%u" : "%s://%s:%u";
    if (asprintf(url, form, tls ? "https" : "http", host, port_of(fd)) >= 0)
        return fd;
    *url = NULL;
    close(fd);
    error_memory(err);
    return -1;
}

void peer_name(const struct sockaddr *address, char name[80])
{
    char host[64], port[8];
    socklen_t size = address->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                                    : sizeof(struct sockaddr_in);
    if (getnameinfo(address, size, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        snprintf(name, 80, "?");
    else
        snprintf(name, 80, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
}
