/* SPDX-License-Identifier: Apache-2.0 */
#include "otrp/mutation.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "otrp/json_path.h"
#include "otrp/mutation_craft.h"
#include "util/options.h"

#define X32       "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define TOO_LONG  "\"" X32 X32 X32 X32 X32 X32 X32 X32 "\"" /* 256 bytes: a name has 255 at most */
#define ZERO_HASH "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\""
#define ZERO_IV   "\"00000000000000000000000000000000\""

#define BIT(type) (1u << MESSAGE_##type)
#define ALL       ((1u << MESSAGE_COUNT) - 1)
#define WITH_TA   (BIT(INSTALL_TA) | BIT(UPDATE_TA))

/* The wrong values that are wrong for their meaning: of the others the form alone is wrong. */
static const struct wrong_value {
    const char *path;
    unsigned fits;
    const char *json;
    enum error_code_id code;
    const char *check;
} wrong_values[] = {
    {"ver", ALL, "\"9.9\"", ERR_UNSUPPORTED_MSG_VERSION, "version"},
    {"tee", ALL, "\"no-such-tee\"", ERR_REQUEST_INVALID, "tee"},
    {"dsihash", ALL, ZERO_HASH, ERR_DEV_STATE_MISMATCH, "dsihash"},
    {"supportedsigalgs", ALL, "[\"RS1\"]", ERR_UNSUPPORTED_CRYPTO_ALG, "answer-algorithm"},
    {"content", ALL, "{}", ERR_REQUEST_INVALID, "content-algorithms"},
    {"content.tamid", ALL, "\"another-tam\"", ERR_TAM_NOT_AUTHORIZED, "tamid"},
    {"content.did", ALL, ZERO_HASH, ERR_REQUEST_INVALID, "did"},
    {"content.sdname", ALL & ~BIT(CREATE_SD), "\"no-such-sd\"", ERR_SD_NOT_FOUND, "sd"},
    {"content.spid", BIT(UPDATE_SD), "\"no-such-sp\"", ERR_SD_NOT_FOUND, "sd"},
    {"content.spid", WITH_TA, "\"no-such-sp\"", ERR_TA_INVALID, "sd"},
    {"content.spcert", BIT(CREATE_SD), "\"AAAA\"", ERR_SPCERT_INVALID, NULL},
    {"content.spcert", WITH_TA, "\"AAAA\"", ERR_TA_INVALID, NULL},
    {"content.changes.spcert", ALL, "[\"AAAA\"]", ERR_SPCERT_INVALID, NULL},
    {"content.taid", BIT(INSTALL_TA), "\"no-such-ta\"", ERR_TA_INVALID, NULL},
    {"content.taid", ALL, "\"no-such-ta\"", ERR_TA_NOT_FOUND, NULL},
    {"encrypted_ta", ALL, "{}", ERR_REQUEST_INVALID, "members"},
    {"encrypted_ta.key", ALL, "{}", ERR_TA_INVALID, NULL},
    {"encrypted_ta.iv", ALL, ZERO_IV, ERR_TA_INVALID, NULL},
    {"encrypted_ta.alg", ALL, "\"DES\"", ERR_UNSUPPORTED_CRYPTO_ALG, NULL},
    {"encrypted_ta.ciphertadata", ALL, "\"AAAA\"", ERR_TA_INVALID, NULL},
    {"encrypted_ta.ciphernewtadata", ALL, "\"AAAA\"", ERR_TA_INVALID, NULL},
    {"encrypted_ta.cipherpdata", ALL, "\"AAAA\"", ERR_TA_INVALID, NULL},
    {"encrypted_ta.ciphernewpdata", ALL, "\"AAAA\"", ERR_TA_INVALID, NULL},
};

/* The same of an answer: each must make a TAM refuse it. */
static const struct wrong_value wrong_answers[] = {
    {"ver", ALL, "\"9.9\"", ERR_NONE, "members"},
    {"status", ALL, "\"maybe\"", ERR_NONE, "members"},
    {"rid", ALL, "\"another-rid\"", ERR_NONE, "session"},
    {"tid", ALL, "\"another-tid\"", ERR_NONE, "session"},
    {"edsi", ALL, "{}", ERR_NONE, "decryption"},
    {"content", ALL, "{}", ERR_NONE, "decryption"},
    {"content.did", ALL, ZERO_HASH, ERR_NONE, "device"},
    {"edsi.dsi.tee.cert", ALL, "\"AAAA\"", ERR_NONE, "content"},
    {"content.dsi.tee.cert", ALL, "\"AAAA\"", ERR_NONE, "content"},
};

/* What is wrong by its form with a member of that type, as JSON; NULL: nothing can be. */
static const char *wrong_form(enum member_type type)
{
    switch (type) {
    case MEMBER_NAME:
    case MEMBER_TID:
        return TOO_LONG;
    case MEMBER_BASE64:
        return "\"!\"";
    case MEMBER_HEX:
        return "\"zz\"";
    case MEMBER_BASE64_LIST:
        return "[\"!\"]";
    case MEMBER_HEX_LIST:
        return "[\"zz\"]";
    case MEMBER_TEXT:
    case MEMBER_TEXT_LIST:
    case MEMBER_BOOLEAN:
    case MEMBER_OBJECT:
    case MEMBER_OBJECT_LIST:
        break;
    }
    return NULL;
}

/* One message whose mutations are being derived. */
struct derivation {
    mutations *all;
    enum mutation_side side;
    const struct message_type *type;
    const char *sealed;           /* the encrypted member, or NULL */
    const struct member *content; /* its plaintext's */
    struct error *err;
};

/* Adds a row, or the type to the row that is there already. */
static bool add(struct derivation *d, const struct mutation *row)
{
    mutations *all = d->all;
    unsigned bit = 1u << d->type->id;
    for (size_t i = 0; i < all->count; i++) {
        struct mutation *m = &all->rows[i];
        if (strcmp(m->name, row->name) == 0 && m->code == row->code) {
            m->fits |= bit;
            return true;
        }
    }
    struct mutation *rows = realloc(all->rows, (all->count + 1) * sizeof *rows);
    if (!rows)
        return error_memory(d->err);
    all->rows = rows;
    rows[all->count] = *row;
    rows[all->count++].fits = bit;
    return true;
}

static const char *kind_name(enum mutation_kind kind)
{
    static const char *const names[] = {"missing", "type", "value", "unknown", ""};
    return names[kind];
}

static bool is_content(const char *path)
{
    return strncmp(path, "content.", 8) == 0 || strncmp(path, "edsi.", 5) == 0;
}

static bool add_member(struct derivation *d, enum mutation_kind kind, const char *path,
                       const char *json, const struct wrong_value *wrong)
{
    struct mutation row = {.kind = kind, .json = json};
    row.check = is_content(path)           ? "content"
                : strcmp(path, "ver") == 0 ? "version-present"
                                           : "members";
    row.code = ERR_REQUEST_INVALID;
    if (d->side == MUTATION_RESPONSE) {
        row.check = is_content(path) ? "content" : "members";
        row.code = ERR_NONE;
    }
    if (wrong) {
        row.code = wrong->code;
        row.check = wrong->check;
    }
    if ((size_t)snprintf(row.name, sizeof row.name, "%s:%s", kind_name(kind), path) >=
        sizeof row.name)
        return error_set(d->err, RC_INTERNAL, "%s: too long a path", path);
    return add(d, &row);
}

static bool add_value(struct derivation *d, const struct member *m, const char *path)
{
    bool request = d->side == MUTATION_REQUEST;
    const struct wrong_value *table = request ? wrong_values : wrong_answers;
    size_t count = request ? COUNT(wrong_values) : COUNT(wrong_answers);
    for (size_t i = 0; i < count; i++)
        if (strcmp(table[i].path, path) == 0 && table[i].fits & 1u << d->type->id)
            return add_member(d, MUTATION_VALUE, path, table[i].json, &table[i]);
    const char *json = wrong_form(m->type);
    return !json || add_member(d, MUTATION_VALUE, path, json, NULL);
}

static bool derive(struct derivation *d, const struct member *members, const char *prefix)
{
    char path[80];
    for (const struct member *m = members; m->name; m++) {
        snprintf(path, sizeof path, "%s%s", prefix, m->name);
        if ((m->mandatory && !add_member(d, MUTATION_MISSING, path, NULL, NULL)) ||
            !add_member(d, MUTATION_TYPE, path, "7", NULL) || !add_value(d, m, path))
            return false;
        bool sealed = !*prefix && d->sealed && strcmp(m->name, d->sealed) == 0;
        const struct member *inner = sealed                     ? d->content
                                     : m->type == MEMBER_OBJECT ? m->members
                                                                : NULL;
        char below[82];
        snprintf(below, sizeof below, "%s.", path);
        if (inner && !derive(d, inner, below))
            return false;
    }
    /* an unknown member of an answer is accepted */
    snprintf(path, sizeof path, "%sx-unknown", prefix);
    return d->side == MUTATION_RESPONSE || add_member(d, MUTATION_UNKNOWN, path, "true", NULL);
}

static bool add_crafts(struct derivation *d)
{
    bool request = d->side == MUTATION_REQUEST;
    const struct craft *crafts = request ? request_crafts : response_crafts;
    size_t count = request ? request_craft_count : response_craft_count;
    for (size_t i = 0; i < count; i++) {
        struct mutation row = {.kind = MUTATION_CRAFTED,
                               .code = crafts[i].code,
                               .check = crafts[i].check,
                               .craft = &crafts[i]};
        snprintf(row.name, sizeof row.name, "%s", crafts[i].name);
        if (crafts[i].fits & 1u << d->type->id && !add(d, &row))
            return false;
    }
    return true;
}

mutations *mutations_new(enum mutation_side side, struct error *err)
{
    AUTO(mutations) *all = calloc(1, sizeof *all);
    if (!all) {
        error_memory(err);
        return NULL;
    }
    for (int i = 0; i < MESSAGE_COUNT; i++) {
        const struct message_type *type = message_type((enum message_id)i);
        bool request = side == MUTATION_REQUEST;
        struct derivation d = {all,
                               side,
                               type,
                               request ? "content" : type->sealed,
                               request ? type->request_content : type->response_content,
                               err};
        if (!derive(&d, request ? type->request_tbs : type->response_tbs, "") || !add_crafts(&d))
            return NULL;
    }
    for (size_t i = 0; i < all->count; i++)
        if (all->rows[i].kind != MUTATION_CRAFTED)
            all->rows[i].path = strchr(all->rows[i].name, ':') + 1;
    return TAKE(all);
}

void mutations_free(mutations *all)
{
    if (all)
        free(all->rows);
    free(all);
}

/* The name that was meant, among those that fit the type; NULL: none is near. */
static const char *nearest_name(const mutations *all, enum message_id type, const char *name)
{
    const char **list = calloc(all->count + 1, sizeof *list);
    size_t count = 0;
    for (size_t i = 0; list && i < all->count; i++)
        if (all->rows[i].fits & 1u << type)
            list[count++] = all->rows[i].name;
    const char *near = list ? nearest(name, list, count) : NULL;
    free(list);
    return near;
}

const struct mutation *mutation_find(const mutations *all, enum message_id type, const char *name,
                                     struct error *err)
{
    const struct mutation *other = NULL;
    for (size_t i = 0; i < all->count; i++) {
        const struct mutation *m = &all->rows[i];
        if (strcmp(m->name, name) != 0)
            continue;
        if (m->fits & 1u << type)
            return m;
        other = m;
    }
    error_set(err, RC_USAGE, other ? "'%s' does not fit %s" : "there is no mutation '%s'", name,
              message_type(type)->name);
    const char *near = other ? NULL : nearest_name(all, type, name);
    if (near)
        error_hint(err, "did you mean '%s'? '--break list' names them all", near);
    else
        error_hint(err, "'--break list' names them all with the messages that they fit");
    return NULL;
}

const char *mutation_title(const struct mutation *m)
{
    static const char *const titles[] = {
        [MUTATION_MISSING] = "the member is left out",
        [MUTATION_TYPE] = "the member is a number",
        [MUTATION_VALUE] = "the member has a wrong value",
        [MUTATION_UNKNOWN] = "there is a member that the protocol does not know",
    };
    return m->craft ? m->craft->title : titles[m->kind];
}

const char *mutation_needs(const struct mutation *m)
{
    return m->craft ? m->craft->needs : NULL;
}

/* ---- the stages ---- */

/* Runs what the plan has for a crafted stage. */
static bool run_crafts(struct workpiece *w, enum stage stage, struct error *err)
{
    for (size_t i = 0; w->plan && i < w->plan->count; i++) {
        const struct mutation *m = w->plan->items[i];
        if (!m->craft || m->craft->stage != stage)
            continue;
        bool done = m->craft->apply ? m->craft->apply(w, err)
                                    : json_path_edit(w->text, m->craft->path, m->craft->json, err);
        if (!done)
            return error_prefix(err, "%s", m->name);
    }
    return true;
}

bool mutate_tbs(const struct mutation_plan *plan, json_t *tbs, const X509_stack *chain,
                struct error *err)
{
    struct workpiece w = {.plan = plan, .json = tbs, .chain = chain};
    return run_crafts(&w, STAGE_TBS, err);
}

/* The path of a member mutation inside the sealed member's plaintext, or NULL. */
static const char *inside(const struct mutation *m, const char *sealed)
{
    size_t length = strlen(sealed);
    bool is = m->path && strncmp(m->path, sealed, length) == 0 && m->path[length] == '.';
    return is ? m->path + length + 1 : NULL;
}

bool mutate_content(const struct mutation_plan *plan, const char *sealed, json_t *content,
                    struct error *err)
{
    for (size_t i = 0; plan && i < plan->count; i++) {
        const struct mutation *m = plan->items[i];
        const char *path = inside(m, sealed);
        char assignment[512];
        if (!path)
            continue;
        snprintf(assignment, sizeof assignment, "%s=%s", path, m->json ? m->json : "");
        if (!(m->json ? json_path_set(content, assignment, err)
                      : json_path_unset(content, path, err)))
            return error_prefix(err, "%s", m->name);
    }
    struct workpiece w = {.plan = plan, .json = content};
    return run_crafts(&w, STAGE_CONTENT, err);
}

bool mutate_unsealed(const struct mutation_plan *plan, const char *sealed, struct error *err)
{
    for (size_t i = 0; plan && i < plan->count; i++) {
        const struct mutation *m = plan->items[i];
        if (inside(m, sealed) ||
            (m->craft && m->craft->stage >= STAGE_CONTENT && m->craft->stage <= STAGE_SEALED))
            return error_set(err, RC_USAGE, "%s: there is no %s in the message", m->name, sealed);
    }
    return true;
}

void mutate_sealing(const struct mutation_plan *plan, struct jwe_how *how)
{
    struct workpiece w = {.plan = plan, .how = how};
    struct error never; /* those of this stage only set a field */
    if (!run_crafts(&w, STAGE_SEALING, &never))
        return;
}

bool mutate_sealed(const struct mutation_plan *plan, buffer **text, struct error *err)
{
    struct workpiece w = {.plan = plan, .text = text};
    return run_crafts(&w, STAGE_SEALED, err);
}

bool mutate_package(const struct mutation_plan *plan, buffer **package, struct error *err)
{
    struct workpiece w = {.plan = plan, .text = package};
    return run_crafts(&w, STAGE_PACKAGE, err);
}

bool mutate_payload(const struct mutation_plan *plan, const char *tbs_name, const char *sealed,
                    buffer **payload, struct error *err)
{
    for (size_t i = 0; plan && i < plan->count; i++) {
        const struct mutation *m = plan->items[i];
        char path[200];
        if (!m->path || inside(m, sealed))
            continue;
        snprintf(path, sizeof path, "%s.%s", tbs_name, m->path);
        if (!json_path_edit(payload, path, m->json, err))
            return error_prefix(err, "%s", m->name);
    }
    struct workpiece w = {.plan = plan, .text = payload, .tbs_name = tbs_name};
    return run_crafts(&w, STAGE_PAYLOAD, err);
}

bool mutate_signer(const struct mutation_plan *plan, mutation_signer *s, struct error *err)
{
    struct workpiece w = {.plan = plan, .signer = s};
    return run_crafts(&w, STAGE_SIGNER, err);
}

void mutation_signer_free(mutation_signer *s)
{
    key_free(s->own_key);
    sk_X509_pop_free(s->own_chain, X509_free);
}

bool mutate_jws(const struct mutation_plan *plan, const key *signer, buffer **text,
                struct error *err)
{
    struct workpiece w = {.plan = plan, .text = text, .signed_by = signer};
    return run_crafts(&w, STAGE_JWS, err);
}

bool mutate_message(const struct mutation_plan *plan, buffer **message, struct error *err)
{
    struct workpiece w = {.plan = plan, .text = message};
    return run_crafts(&w, STAGE_MESSAGE, err);
}
