/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model: two TAMs send a device random requests, right ones and wrong ones, and a simple model says
 * what must become of each: the error code, and what the device holds afterwards.
 *
 *     model PKI STATE SEED STEPS
 *
 * The seed chooses the requests; a failure names it and the step. The device is judged by its
 * answers, by its report and by the bytes of its TAs.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/ec.h>

#include "otrp/request_make.h"
#include "otrp/response.h"
#include "otrp/ta_package.h"
#include "world.h"

enum { TAMS = 2, SPS = 3, NAMES = 3, TAIDS = 2, MOST_SDS = 6, MOST_TAS = 5, MOST_BYTES = 2500 };
enum { MOST_RECORDS = 20000, KEPT = 48, NO_VERSION = -1 };

static const char *const sp_names[SPS] = {"sp-p", "sp-q", "sp-r"};
static const char *const sd_names[NAMES] = {"sd-a", "sd-b", "sd-c"};
static const char *const ta_names[TAIDS] = {"ta-t", "ta-u"};

/* ---- the model ---- */

struct model_ta {
    bool there;
    long long version;
    unsigned code, pdata; /* what they were made from; 0: none */
};

struct model_sd {
    bool there;
    unsigned certs; /* a bit for each SP certificate */
    struct model_ta tas[TAIDS];
};

struct model_tam {
    struct model_sd sds[SPS][NAMES];
    bool aik[SPS];
    char *spaik[SPS]; /* as it was told; NULL: not told since it was made */
    bool issued, changed;
    uint8_t hash[32];
    unsigned tids[MOST_RECORDS]; /* of each recorded request */
    unsigned records, session_tid, session_start;
};

struct sent { /* a message that the device has recorded */
    buffer *text;
    int tam;
};

struct side { /* what a TAM has and knows */
    struct world_tam tam;
    dsi *known, *older;
    X509_stack *tee_chain; /* as it was first told */
};

static struct model_tam model[TAMS];
static struct side sides[TAMS];
static struct sent sent[KEPT];
static key *signers[SPS];
static char *certs[SPS]; /* BASE64 */
static X509 *cert_objects[SPS];
static char *cert_hashes[SPS];
static mutations *breaks;
static X509_stack *tee_roots;
static device *dev;
static const char *folder;
static unsigned long long seed, state;
static unsigned step, next_id = 1;
static unsigned outcomes[ERR_COUNT];

__attribute__((noreturn, format(printf, 1, 2))) static void fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    printf("FAILED with seed %llu at step %u: ", seed, step);
    vprintf(format, args);
    printf("\n");
    exit(1);
}

static unsigned roll(unsigned sides_of_die)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (unsigned)((state >> 11) % sides_of_die);
}

static bool chance(unsigned percent)
{
    return roll(100) < percent;
}

/* The bytes that a number stands for. */
static buffer *stuff(unsigned id)
{
    size_t size = 1 + id * 37 % 700;
    buffer *b = buffer_new(size);
    for (size_t i = 0; i < size; i++)
        buffer_put_char(b, (char)(id * 131 + i * 7));
    return b;
}

static long long stuff_size(unsigned id)
{
    return id ? 1 + id * 37 % 700 : 0;
}

static void count_all(unsigned *sds, unsigned *tas, long long *bytes)
{
    *sds = *tas = 0;
    *bytes = 0;
    for (int t = 0; t < TAMS; t++)
        for (int s = 0; s < SPS; s++)
            for (int n = 0; n < NAMES; n++) {
                const struct model_sd *sd = &model[t].sds[s][n];
                *sds += sd->there;
                for (int a = 0; a < TAIDS && sd->there; a++)
                    if (sd->tas[a].there) {
                        ++*tas;
                        *bytes += stuff_size(sd->tas[a].code) + stuff_size(sd->tas[a].pdata);
                    }
            }
}

static void forget_aik(struct model_tam *m, int sp)
{
    for (int n = 0; n < NAMES; n++)
        if (m->sds[sp][n].there)
            return;
    m->aik[sp] = false;
    free(m->spaik[sp]);
    m->spaik[sp] = NULL;
}

static void new_aik(struct model_tam *m, int sp)
{
    m->aik[sp] = true;
    free(m->spaik[sp]);
    m->spaik[sp] = NULL;
}

/* ---- a request as it was thrown ---- */

struct throw
{
    enum message_id type;
    int tam, sp, name, ta;
    bool nextdsi, delete_ta, renew, stale;
    int new_sp, new_name; /* -1: not given */
    unsigned add, drop;   /* certificates, as bits */
    int spcert, signer;   /* -1: none */
    unsigned code, pdata; /* 0: none */
    long long version;
    bool wrong_taid, has_aik; /* the TAM knows the AIK of the SP */
    unsigned tid;
    const struct mutation *broken; /* or NULL */
};

static int count_named(const struct model_tam *m, int name, int *sp)
{
    int count = 0;
    for (int s = 0; s < SPS; s++)
        if (m->sds[s][name].there) {
            count++;
            *sp = s;
        }
    return count;
}

static enum error_code_id expect_sd(const struct model_tam *m, struct throw *t)
{
    bool by_name = t->type == MESSAGE_DELETE_SD || t->type == MESSAGE_DELETE_TA;
    int other, count = count_named(m, t->name, by_name ? &t->sp : &other);
    if (t->type == MESSAGE_GET_DEVICE_STATE || t->type == MESSAGE_CREATE_SD)
        return ERR_NONE;
    if (by_name)
        return count == 0 ? ERR_SD_NOT_FOUND : count == 1 ? ERR_NONE : ERR_REQUEST_INVALID;
    if (m->sds[t->sp][t->name].there)
        return ERR_NONE;
    bool for_ta = t->type == MESSAGE_INSTALL_TA || t->type == MESSAGE_UPDATE_TA;
    return for_ta && count ? ERR_TA_INVALID : ERR_SD_NOT_FOUND;
}

static enum error_code_id create_sd(struct model_tam *m, const struct throw *t)
{
    unsigned sds, tas;
    long long bytes;
    struct model_sd *sd = &m->sds[t->sp][t->name];
    if (sd->there)
        return ERR_SD_ALREADY_EXIST;
    count_all(&sds, &tas, &bytes);
    if (sds >= MOST_SDS)
        return ERR_TEE_RESOURCE_FULL;
    *sd = (struct model_sd){.there = true, .certs = 1u << t->spcert};
    if (!m->aik[t->sp])
        new_aik(m, t->sp);
    return ERR_NONE;
}

static enum error_code_id update_sd(struct model_tam *m, const struct throw *t)
{
    int sp = t->new_sp >= 0 ? t->new_sp : t->sp, name = t->new_name >= 0 ? t->new_name : t->name;
    struct model_sd *sd = &m->sds[t->sp][t->name], *to = &m->sds[sp][name];
    if (to != sd && to->there)
        return ERR_SDNAME_ALREADY_USED;
    unsigned left = (sd->certs | t->add) & ~t->drop;
    if (!left)
        return ERR_SPCERT_INVALID;
    sd->certs = left;
    if (to != sd) {
        *to = *sd;
        sd->there = false;
        forget_aik(m, t->sp);
    }
    if (!m->aik[sp] || t->renew)
        new_aik(m, sp);
    return ERR_NONE;
}

static enum error_code_id delete_sd(struct model_tam *m, const struct throw *t)
{
    struct model_sd *sd = &m->sds[t->sp][t->name];
    for (int a = 0; a < TAIDS; a++)
        if (sd->tas[a].there && !t->delete_ta)
            return ERR_SD_NOT_EMPTY;
    sd->there = false;
    forget_aik(m, t->sp);
    return ERR_NONE;
}

static bool package_good(const struct model_sd *sd, const struct throw *t)
{
    bool known = sd->certs & 1u << t->signer || t->spcert == t->signer;
    return known && !t->wrong_taid;
}

static enum error_code_id install_ta(struct model_tam *m, const struct throw *t)
{
    unsigned sds, tas;
    long long bytes;
    struct model_sd *sd = &m->sds[t->sp][t->name];
    struct model_ta *ta = &sd->tas[t->ta];
    if (ta->there)
        return ERR_TA_ALREADY_INSTALLED;
    if (!t->has_aik || !package_good(sd, t))
        return ERR_TA_INVALID;
    count_all(&sds, &tas, &bytes);
    if (tas >= MOST_TAS || bytes + stuff_size(t->code) + stuff_size(t->pdata) > MOST_BYTES)
        return ERR_TEE_RESOURCE_FULL;
    *ta = (struct model_ta){true, t->version, t->code, t->pdata};
    sd->certs |= 1u << t->signer;
    return ERR_NONE;
}

static enum error_code_id update_ta(struct model_tam *m, const struct throw *t)
{
    unsigned sds, tas;
    long long bytes;
    struct model_sd *sd = &m->sds[t->sp][t->name];
    struct model_ta *ta = &sd->tas[t->ta];
    if (!t->code && !t->pdata)
        return ERR_REQUEST_INVALID;
    if (!ta->there)
        return ERR_TA_NOT_FOUND;
    if (!t->has_aik || (t->code && (!package_good(sd, t) || t->version < ta->version)))
        return ERR_TA_INVALID;
    struct model_ta next = {true, t->code ? t->version : ta->version, t->code ? t->code : ta->code,
                            t->pdata ? t->pdata : ta->pdata};
    count_all(&sds, &tas, &bytes);
    bytes += stuff_size(next.code) + stuff_size(next.pdata) - stuff_size(ta->code) -
             stuff_size(ta->pdata);
    if (bytes > MOST_BYTES)
        return ERR_TEE_RESOURCE_FULL;
    *ta = next;
    if (t->code)
        sd->certs |= 1u << t->signer;
    return ERR_NONE;
}

static enum error_code_id delete_ta(struct model_tam *m, const struct throw *t)
{
    struct model_ta *ta = &m->sds[t->sp][t->name].tas[t->ta];
    if (!ta->there)
        return ERR_TA_NOT_FOUND;
    *ta = (struct model_ta){.there = false};
    return ERR_NONE;
}

static enum error_code_id nothing(struct model_tam *m, const struct throw *t)
{
    (void)m;
    (void)t;
    return ERR_NONE;
}

static bool old_tid(const struct model_tam *m, unsigned tid)
{
    for (unsigned i = 0; i < m->session_start; i++)
        if (m->tids[i] == tid && tid != m->session_tid)
            return true;
    return false;
}

static void record(struct model_tam *m, unsigned tid)
{
    if (m->records == MOST_RECORDS)
        fail("too many steps");
    m->tids[m->records++] = tid;
}

static size_t row_of(const char *name)
{
    for (size_t i = 0; i < request_check_count; i++)
        if (strcmp(request_checks[i].name, name) == 0)
            return i;
    fail("there is no check '%s'", name);
}

/* What must become of a request; the model is changed as the device must change. */
static enum error_code_id expect(struct throw *t)
{
    static enum error_code_id (*const commands[])(struct model_tam *, const struct throw *) = {
        [MESSAGE_GET_DEVICE_STATE] = nothing, [MESSAGE_CREATE_SD] = create_sd,
        [MESSAGE_UPDATE_SD] = update_sd,      [MESSAGE_DELETE_SD] = delete_sd,
        [MESSAGE_INSTALL_TA] = install_ta,    [MESSAGE_UPDATE_TA] = update_ta,
        [MESSAGE_DELETE_TA] = delete_ta};
    struct model_tam *m = &model[t->tam];
    const struct side *s = &sides[t->tam];
    size_t wrong = t->broken ? row_of(t->broken->check) : SIZE_MAX;
    if (wrong <= row_of("revocation"))
        return t->broken->code; /* nobody has authenticated it: it leaves no trace */
    record(m, t->tid);
    if (wrong < row_of("replay"))
        return t->broken->code;
    if (old_tid(m, t->tid))
        return ERR_REQUEST_INVALID;
    const dsi *told = t->stale ? s->older : s->known;
    if (t->type != MESSAGE_GET_DEVICE_STATE &&
        (!m->issued || m->changed || memcmp(told->hash, m->hash, 32) != 0))
        return ERR_DEV_STATE_MISMATCH;
    if (wrong < row_of("sd"))
        return t->broken->code;
    enum error_code_id code = expect_sd(m, t);
    if (code == ERR_NONE)
        code = commands[t->type](m, t);
    if (code != ERR_NONE)
        return code;
    if (t->type == MESSAGE_GET_DEVICE_STATE) {
        m->session_tid = t->tid;
        m->session_start = m->records - 1;
    } else if (!t->nextdsi) {
        m->changed = true;
    }
    return ERR_NONE;
}

/* ---- throwing ---- */

static const struct mutation *throw_mutation(enum message_id type)
{
    for (int tries = 0; tries < 50; tries++) {
        const struct mutation *m = &breaks->rows[roll((unsigned)breaks->count)];
        if (m->fits & 1u << type && m->check && !mutation_needs(m) && strcmp(m->check, "sd") != 0)
            return m;
    }
    return NULL;
}

/* Mostly what there is, so that more than refusals happens. */
static void aim(struct throw *t)
{
    const struct model_tam *m = &model[t->tam];
    for (int tries = 0; tries < 12 && !m->sds[t->sp][t->name].there; tries++) {
        t->sp = (int)roll(SPS);
        t->name = (int)roll(NAMES);
    }
    const struct model_sd *sd = &m->sds[t->sp][t->name];
    bool wanted = t->type == MESSAGE_UPDATE_TA || t->type == MESSAGE_DELETE_TA;
    if (wanted != sd->tas[t->ta].there && chance(70))
        t->ta = 1 - t->ta;
    for (int tries = 0; tries < 4 && !(sd->certs & 1u << t->signer); tries++)
        t->signer = (int)roll(SPS);
}

static struct throw throw_request(int tam)
{
    const struct side *s = &sides[tam];
    const struct model_tam *m = &model[tam];
    static const enum message_id weights[] = {
        MESSAGE_GET_DEVICE_STATE, MESSAGE_CREATE_SD, MESSAGE_CREATE_SD,  MESSAGE_UPDATE_SD,
        MESSAGE_UPDATE_SD,        MESSAGE_DELETE_SD, MESSAGE_INSTALL_TA, MESSAGE_INSTALL_TA,
        MESSAGE_INSTALL_TA,       MESSAGE_UPDATE_TA, MESSAGE_UPDATE_TA,  MESSAGE_DELETE_TA};
    struct throw t = {.type = weights[roll(COUNT(weights))],
                      .tam = tam,
                      .sp = (int)roll(SPS),
                      .name = (int)roll(NAMES),
                      .ta = (int)roll(TAIDS),
                      .nextdsi = chance(85),
                      .delete_ta = chance(50),
                      .renew = chance(20),
                      .stale = chance(4) && s->older,
                      .new_sp = chance(25) ? (int)roll(SPS) : -1,
                      .new_name = chance(25) ? (int)roll(NAMES) : -1,
                      .add = chance(40) ? 1 + roll(7) : 0,
                      .drop = chance(30) ? 1 + roll(7) : 0,
                      .spcert = chance(40) ? (int)roll(SPS) : -1,
                      .signer = (int)roll(SPS),
                      .code = chance(85) ? 1 + roll(5000) : 0,
                      .pdata = chance(40) ? 1 + roll(5000) : 0,
                      .version = chance(70) ? (int)roll(4) : NO_VERSION,
                      .wrong_taid = chance(4),
                      .tid = m->session_tid};
    if (!s->known || m->changed) /* mostly it asks when it must */
        t.type = chance(80) || !s->known ? MESSAGE_GET_DEVICE_STATE : t.type;
    if (t.type > MESSAGE_CREATE_SD && chance(85))
        aim(&t);
    if (t.type == MESSAGE_CREATE_SD && t.spcert < 0)
        t.spcert = t.signer;
    if (!t.code && (t.type == MESSAGE_INSTALL_TA || !t.pdata))
        t.code = 1;
    if (t.type == MESSAGE_GET_DEVICE_STATE && chance(60))
        t.tid = next_id++;
    else if (chance(2))
        t.tid = next_id++;
    else if (chance(3) && m->records)
        t.tid = m->tids[roll(m->records)];
    if (chance(15))
        t.broken = throw_mutation(t.type);
    return t;
}

static json_t *cert_list(unsigned bits, char *const *texts)
{
    json_t *list = bits ? json_array() : NULL;
    for (int i = 0; i < SPS; i++)
        if (bits & 1u << i)
            json_array_append_new(list, json_string(texts[i]));
    return list;
}

static buffer *make_package(const struct throw *t)
{
    struct error err;
    AUTO(buffer) *code = t->code ? stuff(t->code) : NULL;
    if (!code)
        return NULL;
    const char *taid = t->wrong_taid ? "another" : ta_names[t->ta];
    buffer *package = ta_package_sign(buffer_span(code), signers[t->signer], NULL, taid, t->version,
                                      &err);
    return package ? package : (fail("package: %s", err.message), NULL);
}

/* The message; *cek opens its answer. rid is written to rid. */
static buffer *make_message(struct throw *t, char rid[32], buffer **cek)
{
    struct error err = {.rc = RC_OK};
    struct side *s = &sides[t->tam];
    char tid[32];
    snprintf(rid, 32, "rid-%u", next_id++);
    snprintf(tid, sizeof tid, "tid-%u", t->tid);
    const dsi *told = t->stale ? s->older : s->known;
    const struct mutation *items[] = {t->broken};
    const struct mutation_plan plan = {.items = items, .count = 1, .now = time(NULL)};
    AUTO(json_t) *add = cert_list(t->add, certs), *drop = cert_list(t->drop, cert_hashes);
    bool for_ta = t->type == MESSAGE_INSTALL_TA || t->type == MESSAGE_UPDATE_TA;
    AUTO(buffer) *package = for_ta ? make_package(t) : NULL;
    AUTO(buffer) *pdata = for_ta && t->pdata ? stuff(t->pdata) : NULL;
    AUTO(key) *spare = NULL;
    struct request_draft d = {.type = message_type(t->type),
                              .tam_key = s->tam.keys->keys[0],
                              .tam_chain = s->tam.chain,
                              .tamid = s->tam.tamid,
                              .ocspdat = s->tam.ocspdat,
                              .rid = rid,
                              .tid = tid,
                              .device = t->type == MESSAGE_GET_DEVICE_STATE ? NULL : told,
                              .nextdsi = t->nextdsi,
                              .spid = sp_names[t->sp],
                              .sdname = sd_names[t->name],
                              .taid = ta_names[t->ta],
                              .spcert = t->spcert >= 0 ? certs[t->spcert] : NULL,
                              .package = package,
                              .pdata = pdata,
                              .broken = t->broken ? &plan : NULL};
    if (t->type == MESSAGE_UPDATE_SD) {
        d.newspid = t->new_sp >= 0 ? sp_names[t->new_sp] : NULL;
        d.newsdname = t->new_name >= 0 ? sd_names[t->new_name] : NULL;
        d.add_spcert = add;
        d.del_spcert = drop;
        d.renew_aik = t->renew;
    }
    d.delete_ta = t->delete_ta;
    if (for_ta) {
        t->has_aik = dsi_find_aik(told, sp_names[t->sp]) != NULL;
        if (!t->has_aik)
            d.aik = spare = key_from_pkey(EVP_EC_gen("P-256"), true, "spare", &err);
    }
    AUTO(json_t) *tbs = request_tbs(&d, &err);
    AUTO(json_t) *content = tbs ? request_content(&d, &err) : NULL;
    buffer *message = tbs && (content || err.rc == RC_OK)
                          ? request_seal(&d, tbs, content, cek, &err)
                          : NULL;
    return message ? message : (fail("request: %s", err.message), NULL);
}

/* ---- judging ---- */

/* An AIK stays the same until it is renewed, and is another one then. */
static void judge_aiks(int tam, const dsi *told)
{
    struct model_tam *m = &model[tam];
    size_t count = 0;
    for (int sp = 0; sp < SPS; sp++) {
        const struct dsi_aik *aik = dsi_find_aik(told, sp_names[sp]);
        if (!aik != !m->aik[sp])
            fail("the AIK of %s is %s", sp_names[sp], aik ? "there" : "missing");
        count += m->aik[sp];
        if (!aik)
            continue;
        if (m->spaik[sp] && strcmp(m->spaik[sp], aik->spaik) != 0)
            fail("the AIK of %s has changed", sp_names[sp]);
        for (int other = 0; other < SPS; other++)
            if (other != sp && m->spaik[other] && strcmp(m->spaik[other], aik->spaik) == 0)
                fail("two SPs have one AIK");
        if (!m->spaik[sp])
            m->spaik[sp] = strdup(aik->spaik);
    }
    if (told->aik_count != count)
        fail("%zu AIKs are told, there are %zu", told->aik_count, count);
}

static void judge_dsi(int tam, dsi *told)
{
    struct model_tam *m = &model[tam];
    struct side *s = &sides[tam];
    size_t count = 0;
    for (int sp = 0; sp < SPS; sp++)
        for (int n = 0; n < NAMES; n++) {
            const struct dsi_sd *sd = dsi_find_sd(told, sp_names[sp], sd_names[n]);
            if (!sd != !m->sds[sp][n].there)
                fail("TAM %d: SD %s of %s in the DSI: %d", tam, sd_names[n], sp_names[sp], !!sd);
            count += sd != NULL;
            for (int a = 0; sd && a < TAIDS; a++)
                if (!dsi_find_ta(sd, ta_names[a]) != !m->sds[sp][n].tas[a].there)
                    fail("TAM %d: TA %s in the DSI", tam, ta_names[a]);
        }
    if (told->sd_count != count)
        fail("%zu SDs are told, there are %zu", told->sd_count, count);
    judge_aiks(tam, told);
    memcpy(m->hash, told->hash, 32);
    m->issued = true;
    m->changed = false;
    dsi_free(s->older);
    s->older = s->known;
    s->known = told;
    if (!s->tee_chain)
        s->tee_chain = X509_chain_up_ref(told->tee_chain);
}

static void judge_answer(const struct throw *t, const char *rid, const buffer *answer,
                         const buffer *cek, enum error_code_id wanted)
{
    struct error err;
    struct side *s = &sides[t->tam];
    AUTO(response) *r = response_open(
        buffer_span(answer),
        &(struct response_question){.tam_key = s->tam.keys->keys[0],
                                    .cek = buffer_span(cek),
                                    .tee_cert = s->tee_chain ? sk_X509_value(s->tee_chain, 0)
                                                             : NULL,
                                    .tee_others = s->tee_chain,
                                    .tee_anchors = tee_roots,
                                    .rid = t->broken ? NULL : rid,
                                    .at = time(NULL)},
        &err);
    if (!r)
        fail("the answer cannot be believed: %s", err.message);
    const char *code = r->passed ? "none" : r->code;
    if (strcmp(code, error_code_name(wanted)) != 0)
        fail("%s is answered with %s, expected %s (%s)", message_type(t->type)->name, code,
             error_code_name(wanted), t->broken ? t->broken->name : "whole");
    bool with_state = t->type == MESSAGE_GET_DEVICE_STATE || t->nextdsi;
    if (r->passed && !r->device != !with_state)
        fail("the answer has %s DSI", r->device ? "a" : "no");
    if (r->passed && r->device)
        judge_dsi(t->tam, TAKE(r->device));
}

static void expect_tas(json_t *list, const struct model_sd *sd)
{
    for (int a = 0; a < TAIDS; a++) {
        const struct model_ta *ta = &sd->tas[a];
        if (!ta->there)
            continue;
        json_t *version = ta->version == NO_VERSION ? json_null() : json_integer(ta->version);
        json_array_append_new(
            list,
            json_pack("{s:s, s:n, s:o, s:I}", "taid", ta_names[a], "taname", "version", version,
                      "size", (json_int_t)(stuff_size(ta->code) + stuff_size(ta->pdata))));
    }
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static json_t *expect_certs(unsigned bits)
{
    char *sorted[SPS];
    size_t count = 0;
    json_t *list = json_array();
    for (int i = 0; i < SPS; i++)
        if (bits & 1u << i)
            sorted[count++] = cert_hashes[i];
    qsort(sorted, count, sizeof *sorted, by_text);
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, json_string(sorted[i]));
    return list;
}

/* Every request that was authenticated counts, once. */
static void judge_record(const json_t *one, int t)
{
    size_t i;
    json_t *tam;
    long long requests = 0;
    json_array_foreach (json_object_get(one, "tams"), i, tam) {
        if (strcmp(json_string_value(json_object_get(tam, "tamid")), sides[t].tam.tamid) == 0)
            requests = json_integer_value(json_object_get(tam, "requests"));
    }
    if (requests != model[t].records)
        fail("TAM %d: %lld requests are recorded, expected %u", t, requests, model[t].records);
}

/* The report of the device must be that of the model, for all TAMs at once. */
static void judge_report(void)
{
    struct error err;
    AUTO(json_t) *report = device_report(folder, NULL, &err);
    if (!report)
        fail("report: %s", err.message);
    const json_t *one = json_array_get(json_object_get(report, "devices"), 0);
    AUTO(json_t) *sds = json_array(), *aiks = json_array();
    for (int t = 0; t < TAMS; t++) {
        for (int s = 0; s < SPS; s++) {
            if (model[t].aik[s])
                json_array_append_new(aiks,
                                      json_pack("{s:s, s:s, s:s}", "tamid", sides[t].tam.tamid,
                                                "spid", sp_names[s], "type", "ECC"));
            for (int n = 0; n < NAMES; n++) {
                const struct model_sd *sd = &model[t].sds[s][n];
                json_t *tas = json_array();
                json_int_t bytes = 0;
                if (sd->there)
                    expect_tas(tas, sd);
                for (size_t i = 0; i < json_array_size(tas); i++)
                    bytes += json_integer_value(json_object_get(json_array_get(tas, i), "size"));
                if (sd->there)
                    json_array_append_new(sds,
                                          json_pack("{s:s, s:s, s:s, s:I, s:o, s:O}", "tamid",
                                                    sides[t].tam.tamid, "spid", sp_names[s], "name",
                                                    sd_names[n], "bytes", bytes, "spcerts",
                                                    expect_certs(sd->certs), "tas", tas));
                json_decref(tas);
            }
        }
        judge_record(one, t);
    }
    if (json_equal(json_object_get(one, "sds"), sds) &&
        json_equal(json_object_get(one, "aiks"), aiks))
        return;
    AUTO(buffer) *is = json_pretty(one), *should = json_pretty(sds);
    fail("the device holds %s, expected SDs %s", (const char *)is->data,
         (const char *)should->data);
}

static void judge_part(int t, int s, int n, int a, unsigned id, bool pdata)
{
    struct error err;
    AUTO(buffer) *is = tee_export_ta(dev, sides[t].tam.tamid, sp_names[s], sd_names[n], ta_names[a],
                                     pdata, &err);
    AUTO(buffer) *should = id ? stuff(id) : NULL;
    if (!is != !should || (is && !span_equal(buffer_span(is), buffer_span(should))))
        fail("the bytes of %s are others", ta_names[a]);
}

static void judge_bytes(void)
{
    for (int t = 0; t < TAMS; t++)
        for (int s = 0; s < SPS; s++)
            for (int n = 0; n < NAMES; n++)
                for (int a = 0; a < TAIDS; a++) {
                    const struct model_sd *sd = &model[t].sds[s][n];
                    if (sd->there && sd->tas[a].there) {
                        judge_part(t, s, n, a, sd->tas[a].code, false);
                        judge_part(t, s, n, a, sd->tas[a].pdata, true);
                    }
                }
}

/* ---- steps ---- */

/* A message that the device has seen: whatever it did then, it does nothing now. */
static bool send_again(void)
{
    struct sent *old = &sent[roll(KEPT)];
    struct error err;
    struct tee_outcome outcome;
    if (!old->text)
        return false;
    AUTO(buffer) *answer = tee_process(dev, buffer_span(old->text), &outcome, &err);
    if (!answer || outcome.code != ERR_REQUEST_INVALID)
        fail("a message sent again: %s", answer ? error_code_name(outcome.code) : err.message);
    return true;
}

static void send_new(void)
{
    struct error err;
    struct tee_outcome outcome;
    char rid[32];
    struct throw t = throw_request((int)roll(TAMS));
    AUTO(buffer) *cek = NULL;
    AUTO(buffer) *message = make_message(&t, rid, &cek);
    unsigned recorded = model[t.tam].records;
    enum error_code_id wanted = expect(&t);
    AUTO(buffer) *answer = tee_process(dev, buffer_span(message), &outcome, &err);
    if (wanted == ERR_AGENT_TEE_FAIL) {
        if (answer)
            fail("an answer to what is no request");
        return;
    }
    if (!answer)
        fail("no answer: %s", err.message);
    judge_answer(&t, rid, answer, cek, wanted);
    outcomes[wanted]++;
    bool whole = !t.broken || row_of(t.broken->check) > row_of("replay");
    if (whole && model[t.tam].records > recorded) {
        struct sent *place = &sent[roll(KEPT)];
        buffer_free(place->text);
        *place = (struct sent){TAKE(message), t.tam};
    }
}

/* ---- making and leaving ---- */

static void furnish_signer(int i, const char *pki, enum pki_role role, const char *name)
{
    struct error err;
    AUTO(identity) *id = identity_find(pki, role, name, &err);
    AUTO(key_set) *keys = id ? world_key(id->key_path, &err) : NULL;
    AUTO(X509_stack) *chain = keys ? cert_load(id->chain_path, &err) : NULL;
    AUTO(buffer) *der = chain ? cert_to_der(sk_X509_value(chain, 0), &err) : NULL;
    if (!der)
        fail("%s: %s", name, err.message);
    signers[i] = TAKE(keys->keys[0]);
    cert_objects[i] = sk_X509_shift(chain);
    AUTO(json_t) *text = json_base64(buffer_span(der));
    certs[i] = strdup(json_string_value(text));
    cert_hashes[i] = cert_sha256_hex(cert_objects[i], &err);
}

static void tidy_up(void)
{
    for (int t = 0; t < TAMS; t++) {
        world_tam_free(&sides[t].tam);
        dsi_free(sides[t].known);
        dsi_free(sides[t].older);
        sk_X509_pop_free(sides[t].tee_chain, X509_free);
    }
    for (int i = 0; i < SPS; i++) {
        key_free(signers[i]);
        free(certs[i]);
        free(cert_hashes[i]);
        X509_free(cert_objects[i]);
        for (int t = 0; t < TAMS; t++)
            free(model[t].spaik[i]);
    }
    for (int i = 0; i < KEPT; i++)
        buffer_free(sent[i].text);
    mutations_free(breaks);
    sk_X509_pop_free(tee_roots, X509_free);
    device_free(dev);
}

int main(int argc, char **argv)
{
    struct error err;
    if (argc != 5) {
        fprintf(stderr, "usage: model PKI STATE SEED STEPS\n");
        return 2;
    }
    folder = argv[2];
    seed = strtoull(argv[3], NULL, 10);
    state = seed * 2654435761u + 88172645463325252ull;
    unsigned steps = (unsigned)strtoul(argv[4], NULL, 10), again = 0;
    static const char *const names[TAMS] = {"mytam", "othertam"};
    for (int t = 0; t < TAMS; t++)
        if (!world_tam(&sides[t].tam, argv[1], names[t], &err))
            fail("%s: %s", names[t], err.message);
    furnish_signer(0, argv[1], ROLE_SP, "xbank");
    furnish_signer(1, argv[1], ROLE_SP, "ybank");
    furnish_signer(2, argv[1], ROLE_TEE, "othertee");
    dev = world_device(argv[1], folder,
                       &(struct device_limits){MOST_SDS, MOST_TAS, MOST_BYTES, MOST_RECORDS}, &err);
    tee_roots = layout_roots(argv[1], ROLE_TEE, &err);
    if (!dev || !tee_roots || !sql_run(dev->db, &err, "PRAGMA synchronous = OFF", ""))
        fail("device: %s", err.message); /* durability is not what is tested here */
    if (!(breaks = mutations_new(MUTATION_REQUEST, &err)))
        fail("%s", err.message);
    for (step = 1; step <= steps; step++) {
        if (chance(8) && send_again())
            again++;
        else
            send_new();
        judge_report();
        if (step % 50 == 0)
            judge_bytes();
    }
    printf("seed %llu: %u steps, %u of them again, %u passed\n", seed, steps, again,
           outcomes[ERR_NONE]);
    for (int i = ERR_NONE + 1; i < ERR_COUNT; i++)
        if (outcomes[i])
            printf("%s %u\n", error_code_name((enum error_code_id)i), outcomes[i]);
    tidy_up();
    return 0;
}
