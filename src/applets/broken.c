/* SPDX-License-Identifier: Apache-2.0 */
#include "applets/broken.h"

#include <string.h>

#include "applets/common.h"
#include "pki/authority.h"

void broken_free(broken *b)
{
    if (!b)
        return;
    key_free(b->ca_key);
    mutations_free(b->all);
    free(b);
}

broken *broken_new(const struct text_list *names, enum mutation_side side, enum message_id type,
                   struct error *err)
{
    AUTO(broken) *b = calloc(1, sizeof *b);
    if (!b) {
        error_memory(err);
        return NULL;
    }
    if (names->count > BROKEN_MOST) {
        error_set(err, RC_USAGE, "more than %d mutations for one message", BROKEN_MOST);
        return NULL;
    }
    if (names->count && !(b->all = mutations_new(side, err)))
        return NULL;
    for (size_t i = 0; i < names->count; i++)
        if (!(b->items[i] = mutation_find(b->all, type, names->items[i], err)))
            return NULL;
    b->plan.items = b->items;
    b->plan.count = names->count;
    return TAKE(b);
}

const struct mutation_plan *broken_plan(const broken *b)
{
    return b && b->plan.count ? &b->plan : NULL;
}

bool broken_take_ca(const struct applet_call *call, broken *b, const char *pki, X509 *cert,
                    struct error *err)
{
    if (!pki || !b->plan.count)
        return true;
    AUTO(authority) *ca = authority_find(pki, cert, err);
    if (!ca || !path_exists(ca->key_path))
        return true;
    AUTO(key_set) *keys = call_keys(call, ca->key_path, KEY_PRIVATE, err);
    if (!keys)
        return false;
    b->ca_key = TAKE(keys->keys[0]);
    b->plan.ca_key = b->ca_key;
    return true;
}

bool broken_is_list(const struct text_list *names)
{
    return names->count == 1 && strcmp(names->items[0], "list") == 0;
}

static json_t *types_json(unsigned fits)
{
    json_t *list = json_array();
    for (int i = 0; i < MESSAGE_COUNT; i++)
        if (fits & 1u << i)
            json_array_append_new(list, json_string(message_type((enum message_id)i)->option));
    return list;
}

static json_t *row_json(const struct mutation *m)
{
    return json_pack("{s:s, s:o, s:s*, s:s*, s:s, s:s*}", "name", m->name, "types",
                     types_json(m->fits), "code",
                     m->code == ERR_NONE ? NULL : error_code_name(m->code), "check", m->check,
                     "title", mutation_title(m), "needs", mutation_needs(m));
}

static void put_row(buffer *out, const struct mutation *m)
{
    buffer_put_format(out, "%-40s %-28s ", m->name,
                      m->code == ERR_NONE ? "refused" : error_code_name(m->code));
    if (m->fits == (1u << MESSAGE_COUNT) - 1)
        buffer_put_text(out, "every message");
    for (int i = 0; i < MESSAGE_COUNT && m->fits != (1u << MESSAGE_COUNT) - 1; i++)
        if (m->fits & 1u << i)
            buffer_put_format(out, "%s%s", m->fits & ((1u << i) - 1) ? "," : "",
                              message_type((enum message_id)i)->option);
    buffer_put_format(out, ": %s", mutation_title(m));
    if (mutation_needs(m))
        buffer_put_format(out, " (takes %s)", mutation_needs(m));
    buffer_put_char(out, '\n');
}

enum rc broken_list(const struct applet_call *call, enum mutation_side side,
                    const struct message_type *only, struct error *err)
{
    return broken_list_with(call, side, only, NULL, 0, err);
}

enum rc broken_list_with(const struct applet_call *call, enum mutation_side side,
                         const struct message_type *only, const struct broken_row *own,
                         size_t count, struct error *err)
{
    AUTO(mutations) *all = mutations_new(side, err);
    AUTO(json_t) *rows = json_array();
    AUTO(buffer) *text = buffer_new(1 << 14);
    if (!all || !rows || !text)
        return error_memory(err), err->rc;
    for (size_t i = 0; i < all->count; i++) {
        const struct mutation *m = &all->rows[i];
        if (only && !(m->fits & 1u << only->id))
            continue;
        if (call->common->json)
            json_array_append_new(rows, row_json(m));
        else
            put_row(text, m);
    }
    for (size_t i = 0; i < count; i++)
        if (call->common->json)
            json_array_append_new(
                rows, json_pack("{s:s, s:s}", "name", own[i].name, "title", own[i].title));
        else
            buffer_put_format(text, "%-40s %-28s every message: %s\n", own[i].name, "",
                              own[i].title);
    AUTO(buffer) *json = call->common->json ? json_pretty(rows) : NULL;
    return stdout_write(buffer_span(json ? json : text), err) ? RC_OK : err->rc;
}
