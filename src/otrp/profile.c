/* SPDX-License-Identifier: Apache-2.0 */
#include "otrp/profile.h"

#include <string.h>

#define NAMES(...) ((const char *const[]){__VA_ARGS__, NULL})

const struct profile profiles[] = {
    {
        .name = "ietf",
        .summary = "the draft",
        .absent = (const char *const[]){NULL},
        .absent_answer = (const char *const[]){NULL},
        .waived = (const char *const[]){NULL},
        .make = {.install_content = true},
        .http = {.end_status = 204},
    },
    {
        .name = "aist",
        .summary = "proof of concept of AIST: Node TAM, C agent; both sides' keys are pinned",
        .forms = FOREIGN_BIT(JWE_FLATTENED) | FOREIGN_BIT(JWE_ALG) | FOREIGN_BIT(KID) |
                 FOREIGN_BIT(X5C_PROTECTED) | FOREIGN_BIT(RID_INTEGER) | FOREIGN_BIT(RID_MISSING) |
                 FOREIGN_BIT(COUNT_INTEGER) | FOREIGN_BIT(TA_LIST) | FOREIGN_BIT(NO_CONTENT) |
                 FOREIGN_BIT(TA_JWE) | FOREIGN_BIT(FRESH_CEK),
        .absent = NAMES("dsihash", "spid", "sdname"),
        .absent_answer = NAMES("did", "name", "spid", "cert", "cacert", "teeaiklist"),
        .waived = NAMES("revocation", "replay", "dsihash", "sd"),
        .any_rid = true,
        .no_certificate = true,
        .default_sd = true,
        .make = {.jwe = JWE_FORM_PROTECTED,
                 .x5c = X5C_FORM_NONE,
                 .kid = true,
                 .rid_integer = true,
                 .no_rid_at_start = true,
                 .tid = "1",
                 .ocspdat = "c2FtcGxlIG9jc3BkYXQgQjY0IGVuY29kZWQgQVNOMQ==",
                 .dsihash = DSIHASH_NONE,
                 .install_content = false,
                 .ta = TA_FORM_JWE,
                 .delete_ta = NAMES("tamid", "taid"),
                 .answer = ANSWER_AIST,
                 .answer_id = "1",
                 .fresh_cek = true},
        .http = {.path = "/api/tam_jose",
                 .delete_path = "/api/tam_jose_delete",
                 .accept_exact = true,
                 .end_status = 204,
                 .silent_failure = true},
    },
    {
        .name = "thaler",
        .summary = "TAM and agent in C++ by D. Thaler; certificates are self-signed, and pinned",
        .forms = FOREIGN_BIT(JWE_FLATTENED) | FOREIGN_BIT(X5C_BASE64URL) | FOREIGN_BIT(BASE64URL) |
                 FOREIGN_BIT(BOOLEAN_TEXT) | FOREIGN_BIT(DSI_TEXT) | FOREIGN_BIT(REASON_TEXT) |
                 FOREIGN_BIT(PLACEHOLDER) | FOREIGN_BIT(TA_EMPTY) | FOREIGN_BIT(FRESH_CEK),
        .absent = (const char *const[]){NULL},
        .absent_answer = NAMES("did", "sdlist"),
        .waived = NAMES("revocation", "tamid"),
        .make = {.jwe = JWE_FORM_HEADER,
                 .x5c = X5C_FORM_BASE64URL,
                 .new_tid = true,
                 .ocspdat_always = true,
                 .dsihash = DSIHASH_BASE64URL,
                 .install_content = true,
                 .ta = TA_FORM_EMPTY,
                 .answer = ANSWER_THALER,
                 .fresh_cek = true},
        .http = {.path = "/TEEP", .end_status = 200, .message_bytes = 4096},
    },
};
const size_t profile_count = COUNT(profiles);
const char *const profile_names[] = {"ietf", "aist", "thaler", NULL};

const struct profile *profile_find(const char *name)
{
    for (size_t i = 0; i < COUNT(profiles); i++)
        if (!name || strcmp(name, profiles[i].name) == 0)
            return &profiles[i];
    return NULL;
}

const struct profile *reading_profile(const struct reading *reading)
{
    return reading && reading->profile ? reading->profile : &profiles[0];
}

static bool among(const char *const *names, const char *name)
{
    for (; *names; names++)
        if (strcmp(*names, name) == 0)
            return true;
    return false;
}

bool reading_waives(const struct reading *reading, const char *row)
{
    return among(reading_profile(reading)->waived, row);
}

bool reading_spares(const struct reading *reading, const char *member)
{
    return among(reading_profile(reading)->absent_answer, member);
}

/* ---- tables of members, made milder ---- */

typedef struct member member_table;

static void mild_free(member_table *mild)
{
    for (struct member *m = mild; m && m->name; m++)
        mild_free((struct member *)m->members);
    free(mild);
}
AUTO_DEFINE(member_table, mild_free)

/* members, those that are spared not mandatory, and no members asked of the one that is open. */
static struct member *mild_copy(const struct member *members, const char *const *spared,
                                const char *open, struct error *err)
{
    size_t count = 0;
    while (members[count].name)
        count++;
    AUTO(member_table) *mild = calloc(count + 1, sizeof *mild);
    if (!mild) {
        error_memory(err);
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        mild[i] = members[i];
        mild[i].members = NULL;
        mild[i].mandatory = members[i].mandatory && !among(spared, members[i].name);
        if (!members[i].members || (open && strcmp(members[i].name, open) == 0))
            continue;
        if (!(mild[i].members = mild_copy(members[i].members, spared, open, err)))
            return NULL;
    }
    return TAKE(mild);
}

/* What a profile puts into the place of encrypted_ta has other members, or none. */
static bool foreign_ta(const struct reading *reading, const struct json_value *tbs)
{
    const struct json_value *ta = json_member(tbs, "encrypted_ta");
    if (!ta || ta->kind != JSON_KIND_OBJECT)
        return false;
    enum foreign_form form = ta->count == 0                  ? FOREIGN_TA_EMPTY
                             : json_member(ta, "ciphertext") ? FOREIGN_TA_JWE
                                                             : FOREIGN_COUNT;
    if (form == FOREIGN_COUNT || !foreign_accepts(reading, form))
        return false;
    foreign_found(reading, form, "encrypted_ta");
    return true;
}

bool reading_check(const struct reading *reading, const struct json_value *object,
                   const struct member *members, const char *path, char **novelty,
                   struct error *err)
{
    const struct profile *profile = reading_profile(reading);
    const char *const *spared = novelty ? profile->absent_answer : profile->absent;
    bool open = !novelty && foreign_ta(reading, object);
    if (!spared[0] && !open)
        return members_check(object, members, path, novelty, err);
    AUTO(member_table) *mild = mild_copy(members, spared, open ? "encrypted_ta" : NULL, err);
    return mild && members_check(object, mild, path, novelty, err);
}
