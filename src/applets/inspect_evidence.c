/* SPDX-License-Identifier: Apache-2.0 */
/* What inspect knows besides the thing at hand: keys, roots, a PKI, a device, earlier things. */
#include "applets/inspect.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "otrp/sealed.h"
#include "pki/layout.h"

enum { PKI_KEYS_MOST = 64 }; /* of a role: a fleet's keys are not all tried */

void look_free(look *l)
{
    json_decref(l->report.item);
    key_set_free(l->keys);
    for (size_t i = 0; i < ROLE_COUNT; i++)
        sk_X509_pop_free(l->anchors[i], X509_free);
    sk_X509_pop_free(l->certs, X509_free);
    sk_X509_pop_free(l->tee_chain, X509_free);
    sk_X509_pop_free(l->path, X509_free);
    buffer_free(l->last_cek);
    for (size_t i = 0; i < KNOWN_MOST; i++) {
        buffer_free(l->ceks[i].cek);
        free(l->requests[i].rid);
        free(l->requests[i].tid);
        buffer_free(l->requests[i].cek);
    }
    free(l->said_did);
    free(l->said_tamid);
}

static bool load_key(look *l, const char *source, struct error *err)
{
    struct key_how how = {
        .part = KEY_PUBLIC, .passin = l->call->common->passin, .small_keys = true};
    AUTO(key_set) *keys = key_set_load(source, &how, err);
    return keys && key_set_append(l->keys, keys, err);
}

/* A root counts for each role: inspect does not know what the user keeps in a file. */
static bool load_trust(look *l, const struct text_list *paths, struct error *err)
{
    AUTO(X509_stack) *roots = NULL;
    if (!certs_load_all(paths, &roots, err))
        return false;
    for (int role = 0; roots && role < ROLE_COUNT; role++)
        if (!certs_append(&l->anchors[role], roots, err))
            return false;
    return true;
}

static bool ends_with(const char *name, const char *end)
{
    size_t length = strlen(name), size = strlen(end);
    return length > size && strcmp(name + length - size, end) == 0;
}

/* Keys and certificates of a folder; those that cannot be read are passed over. *refused counts
 * the keys that may not be read; NULL: keys are not wanted. */
static bool load_folder(look *l, const char *folder, size_t *refused, struct error *err)
{
    struct dirent **entries;
    struct error ignored;
    int count = scandir(folder, &entries, NULL, alphasort), loaded = 0;
    bool good = true;
    for (int i = 0; i < count; i++) {
        AUTO(char) *path = path_join(folder, entries[i]->d_name);
        bool wanted = path && loaded < PKI_KEYS_MOST;
        if (wanted && refused && ends_with(path, "-key.pem")) {
            loaded++;
            if (access(path, R_OK) != 0 && errno == EACCES)
                ++*refused;
            else
                (void)!load_key(l, path, &ignored);
        } else if (wanted && ends_with(path, "-cert.pem")) {
            AUTO(X509_stack) *certs = cert_load(path, &ignored);
            good = good && (!certs || certs_append(&l->certs, certs, err));
        }
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
    return good;
}

static bool load_pki(look *l, const char *dir, struct error *err)
{
    if (!path_exists(dir))
        return error_set(err, RC_USAGE, "%s: there is no such PKI directory", dir);
    struct error ignored;
    size_t refused = 0;
    bool rooted = false;
    for (enum pki_role role = 0; role < ROLE_COUNT; role++) {
        AUTO(char) *folder = NULL;
        AUTO(char) *cas = NULL;
        const char *name = role_name(role);
        if (asprintf(&folder, "%s/%s/%s", dir, name, name) < 0 ||
            asprintf(&cas, "%s/%s/%s-ca", dir, name, name) < 0)
            return error_memory(err);
        AUTO(X509_stack) *roots = layout_roots(dir, role, &ignored);
        rooted |= roots != NULL;
        if ((roots && !certs_append(&l->anchors[role], roots, err)) ||
            !load_folder(l, cas, NULL, err) || !load_folder(l, folder, &refused, err))
            return false;
    }
    if (!rooted && !l->certs)
        warn(l->call, "note: %s is no PKI: it would have sp, tam, tee or tfw in it, with roots",
             dir);
    if (refused)
        warn(l->call, "note: %zu key%s of %s cannot be read: %s", refused, refused == 1 ? "" : "s",
             dir, strerror(EACCES));
    return true;
}

static bool load_device(look *l, const char *path, struct error *err)
{
    AUTO(buffer) *text = input_read(path, limits.file_bytes, err);
    AUTO(dsi) *state = NULL;
    if (!text)
        return false;
    struct error why = {.rc = RC_OK};
    state = device_state_open(buffer_span(text), NULL, NULL, l->now, &why);
    for (size_t i = 0; !state && i < l->keys->count; i++)
        if (l->keys->keys[i]->private)
            state = device_state_open(buffer_span(text), l->keys->keys[i], NULL, l->now, &why);
    if (!state) {
        *err = why;
        return error_prefix(err, "%s", input_name(path));
    }
    look_know_state(l, state->hash, "--device");
    look_know_tee(l, TAKE(state->tee_chain));
    return true;
}

bool look_load(look *l, const struct applet_call *call, struct error *err)
{
    const struct inspect_options *o = call->options;
    l->call = call;
    l->options = o;
    l->now = clock_now(&call->clock);
    l->keys = calloc(1, sizeof *l->keys);
    if (!l->keys)
        return error_memory(err);
    for (size_t i = 0; i < o->key.count; i++)
        if (!load_key(l, o->key.items[i], err))
            return false;
    return load_trust(l, &o->trust, err) && (!o->pki || load_pki(l, o->pki, err)) &&
           (!o->device || load_device(l, o->device, err));
}

void look_name_item(const look *l, char text[60])
{
    snprintf(text, 60, "item %zu", l->report.items + 1);
}

void look_know_state(look *l, const uint8_t hash[32], const char *from)
{
    struct known_state *state = &l->states[l->state_count++ % KNOWN_MOST];
    memcpy(state->hash, hash, 32);
    snprintf(state->from, sizeof state->from, "%s", from);
}

void look_know_cek(look *l, struct span cek)
{
    struct known_cek *known = &l->ceks[l->cek_count++ % KNOWN_MOST];
    buffer_free(known->cek);
    known->cek = buffer_secret(cek.size);
    if (known->cek)
        buffer_put_span(known->cek, cek);
    look_name_item(l, known->from);
    l->opened_cek = true;
}

void look_know_tee(look *l, X509_stack *chain)
{
    sk_X509_pop_free(l->tee_chain, X509_free);
    l->tee_chain = chain;
}

const struct known_request *look_find_request(const look *l, const struct message_type *type,
                                              const struct json_value *tbs)
{
    const struct json_value *rid = json_member(tbs, "rid"), *tid = json_member(tbs, "tid");
    for (size_t i = 0; rid && tid && i < KNOWN_MOST && i < l->request_count; i++) {
        const struct known_request *r = &l->requests[i];
        if (r->type == type && r->rid && r->tid && span_is(rid->string, r->rid) &&
            span_is(tid->string, r->tid))
            return r;
    }
    return NULL;
}

void look_know_request(look *l, const struct message_type *type, const struct json_value *tbs)
{
    AUTO(char) *rid = member_text(tbs, "rid");
    AUTO(char) *tid = member_text(tbs, "tid");
    if (!rid || !tid)
        return;
    for (size_t i = 0; i < KNOWN_MOST && i < l->request_count; i++) {
        const struct known_request *r = &l->requests[i];
        if (strcmp(r->rid, rid) == 0 && strcmp(r->tid, tid) == 0)
            hint_add(&l->report,
                     "rid %.80s was used in tid %.80s by item %zu already: a TEE refuses it as a "
                     "replay",
                     rid, tid, r->item);
    }
    struct known_request *r = &l->requests[l->request_count++ % KNOWN_MOST];
    free(r->rid);
    free(r->tid);
    buffer_free(r->cek);
    *r = (struct known_request){
        .rid = TAKE(rid), .tid = TAKE(tid), .type = type, .item = l->report.items + 1};
    if (l->opened_cek && l->cek_count)
        r->cek = buffer_copy(buffer_span(l->ceks[(l->cek_count - 1) % KNOWN_MOST].cek));
    l->opened_cek = false;
}
