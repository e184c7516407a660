/* SPDX-License-Identifier: Apache-2.0 */
#include "applets/help_messages.h"

#include <string.h>

#include "otrp/message.h"

/* One message of the registry, in either direction. */
struct part {
    const char *name, *tbs_name, *direction, *section, *sealed;
    const struct member *tbs, *content;
};

static struct part request_part(const struct message_type *t)
{
    return (struct part){t->request,
                         t->request_tbs_name,
                         "TAM to TEE",
                         t->section,
                         t->request_content ? "content" : NULL,
                         t->request_tbs,
                         t->request_content};
}

static struct part response_part(const struct message_type *t)
{
    return (struct part){t->response, t->response_tbs_name, "TEE to TAM",       t->section,
                         t->sealed,   t->response_tbs,      t->response_content};
}

static struct part other_part(const struct other_message *m)
{
    return (struct part){m->name, m->tbs_name, m->direction, m->section, NULL, m->members, NULL};
}

/* Writes one member of a message; depth is 0 for those of the TBS. */
typedef void (*member_writer)(buffer *out, const struct member *m, const char *form, int depth);

static void text_member(buffer *out, const struct member *m, const char *form, int depth)
{
    int width = 22 - 2 * depth;
    buffer_put_format(out, "  %*s%-*s %-9s  %s\n", 2 * depth, "", width > 1 ? width : 1, m->name,
                      m->mandatory ? "mandatory" : "optional", form);
}

static void mdoc_member(buffer *out, const struct member *m, const char *form, int depth)
{
    buffer_put_format(out, "%*s%-*s %s  %s\n", 2 * depth, "", 20 - 2 * depth, m->name,
                      m->mandatory ? "mandatory" : "optional ", form);
}

static void put_members(buffer *out, const struct part *p, const struct member *members, int depth,
                        member_writer write)
{
    for (const struct member *m = members; m->name; m++) {
        bool sealed = depth == 0 && p->sealed && strcmp(m->name, p->sealed) == 0;
        bool again = strcmp(m->name, "dsi") == 0 && strcmp(p->sealed, "edsi") != 0;
        write(out, m,
              sealed  ? "JWE, encrypted:"
              : again ? "object, as in GetDeviceStateResponse"
                      : member_form(m->type),
              depth);
        const struct member *inner = sealed ? p->content : again ? NULL : m->members;
        if (inner)
            put_members(out, p, inner, depth + 1, write);
    }
}

static void put_part(buffer *out, const struct part *p)
{
    buffer_put_format(out, "%s, from %s%s%s (draft %s)\n", p->name, p->direction,
                      p->tbs_name ? ", signed as " : ", not signed", p->tbs_name ? p->tbs_name : "",
                      p->section);
    put_members(out, p, p->tbs, 0, text_member);
}

static void put_mdoc_part(buffer *out, const struct part *p)
{
    buffer_put_format(out, ".Ss %s\nDraft %s, from %s", p->name, p->section, p->direction);
    if (p->tbs_name)
        buffer_put_format(out, ", signed as\n.Li %s .\n", p->tbs_name);
    else
        buffer_put_text(out, ", not signed.\n");
    buffer_put_text(out, ".Bd -literal -offset indent\n");
    put_members(out, p, p->tbs, 0, mdoc_member);
    buffer_put_text(out, ".Ed\n");
}

static void put_line(buffer *out, const struct part *p)
{
    buffer_put_format(out, "  %-24s %s\n", p->name, p->direction);
}

void put_messages(buffer *out, bool mdoc)
{
    void (*put)(buffer * out, const struct part *p) = mdoc ? put_mdoc_part : put_line;
    for (int i = 0; i < MESSAGE_COUNT; i++) {
        struct part request = request_part(message_type((enum message_id)i));
        struct part response = response_part(message_type((enum message_id)i));
        put(out, &request);
        put(out, &response);
    }
    for (size_t i = 0; i < other_message_count; i++) {
        struct part other = other_part(&other_messages[i]);
        put(out, &other);
    }
    if (!mdoc)
        buffer_put_text(out, "\n'otrp help NAME' shows the members of one of them.\n");
}

bool put_message(buffer *out, const char *name)
{
    size_t before = out->size;
    for (int i = 0; i < MESSAGE_COUNT; i++) {
        const struct message_type *t = message_type((enum message_id)i);
        bool both = strcmp(name, t->option) == 0 || strcmp(name, t->name) == 0;
        struct part request = request_part(t), response = response_part(t);
        if (both || strcmp(name, t->request) == 0)
            put_part(out, &request);
        if (both)
            buffer_put_char(out, '\n');
        if (both || strcmp(name, t->response) == 0)
            put_part(out, &response);
    }
    for (size_t i = 0; i < other_message_count; i++) {
        struct part other = other_part(&other_messages[i]);
        if (strcmp(name, other.name) == 0 ||
            (strcmp(name, "ta-query") == 0 && strncmp(other.name, "TA", 2) == 0))
            put_part(out, &other);
    }
    return out->size > before;
}
