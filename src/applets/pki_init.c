/* SPDX-License-Identifier: Apache-2.0 */
/* otrp pki-init: make roots, CAs and end entities of SPs, TAMs, TEEs and their firmware. */
#include "applets/pki.h"
#include "applets/words.h"

#include <string.h>

#include "jose/jwk.h"
#include "pki/files.h"
#include "util/install.h"
#include "util/secret.h"
#include "util/terminal.h"

struct pki_init {
    const char *out, *root_alg, *ca_alg, *alg, *templates, *passout;
    struct text_list sp, tam, tee;
    long jobs;
    bool dry_run;
};

static const struct option_row options[] = {
    OPT_TEXT(pki_init, out, 'o', "DIR", OPT_DIR, "folder to make (default: pki)"),
    OPT_WORDS(pki_init, root_alg, 0, "LIST", words_key_alg, OPT_COMMAS,
              "a root for each of these, the first signs the CA (default: ec-p256,rsa-4096)"),
    OPT_WORDS(pki_init, ca_alg, 0, "ALG", words_key_alg, 0, "key of the CAs (default: rsa-4096)"),
    OPT_WORDS(pki_init, alg, 0, "ALG", words_key_alg, 0,
              "key of the end entities (default: rsa-2048)"),
    OPT_LIST(pki_init, sp, 0, "NAME", 0, "a service provider (default: xbank and ybank)"),
    OPT_LIST(pki_init, tam, 0, "NAME[=TAMID]", 0,
             "a TAM; TAMID is an OID, a URI or a host name (default: mytam)"),
    OPT_LIST(pki_init, tee, 0, "NAME", 0, "a device: its TEE and firmware (default: mytee)"),
    OPT_NUMBER(pki_init, jobs, 'j', "N", 1, 1024, "make N keys at once (default: one a core)"),
    OPT_TEXT(pki_init, passout, 0, "ARG", 0,
             "encrypt the private keys with this passphrase: pass:TEXT, env:NAME, ..."),
    OPT_TEXT(pki_init, templates, 0, "DIR", OPT_DIR, "folder of the X.509 templates"),
    OPT_FLAG(pki_init, dry_run, 'n', 0, "list what would be written, make nothing"),
    OPT_END};

static const struct text_list *list_or(const struct text_list *given,
                                       const struct text_list *otherwise)
{
    return given->count ? given : otherwise;
}

static hierarchy *plan(const struct pki_init *o, struct error *err)
{
    static const char *sps[] = {"xbank", "ybank"}, *tams[] = {"mytam"}, *tees[] = {"mytee"};
    static const struct text_list sp = {sps, 2}, tam = {tams, 1}, tee = {tees, 1};
    struct hierarchy_order order = {.root_alg = o->root_alg ? o->root_alg : "ec-p256,rsa-4096",
                                    .ca_alg = o->ca_alg ? o->ca_alg : "rsa-4096",
                                    .alg = o->alg ? o->alg : "rsa-2048",
                                    .sp = list_or(&o->sp, &sp),
                                    .tam = list_or(&o->tam, &tam),
                                    .tee = list_or(&o->tee, &tee)};
    return hierarchy_plan(&order, err);
}

static bool check_place(const pki_files *files, const char *dir, const output_set *outputs,
                        struct error *err)
{
    for (size_t i = 0; i < files->count; i++)
        if (!output_check(outputs, files->files[i].path, err))
            return err->hint[0]
                       ? error_hint(err, "use another --out; --force would replace the whole "
                                         "PKI with new keys")
                       : false;
    return pki_files_check_strangers(files, dir, err);
}

/* All end entities have keys of one algorithm, and there is always a TAM. */
static void warn_of_alg(const struct applet_call *call, const hierarchy *h)
{
    size_t i = 0;
    while (h->members[i].level != LEVEL_ENTITY || h->members[i].role != ROLE_TAM)
        i++;
    pki_warn_of_alg(call, ROLE_TAM, h->members[i].alg);
}

static bool make_keys(const struct applet_call *call, hierarchy *h, long jobs, struct error *err)
{
    struct progress progress;
    progress_start(&progress, "keys", call->common->quiet);
    bool done = hierarchy_make_keys(h,
                                    &(struct keygen_how){.threads = (size_t)jobs,
                                                         .progress = progress_update,
                                                         .context = &progress},
                                    err);
    progress_end(&progress);
    return done;
}

static buffer *make_jwk(const EVP_PKEY *pkey, enum key_part part, struct error *err)
{
    AUTO(json_t) *jwk = jwk_from_pkey(pkey, part, err);
    buffer *text = jwk ? json_pretty(jwk) : NULL;
    if (jwk && !text)
        error_memory(err);
    return text;
}

static bool add_file(output_set *outputs, const hierarchy *h, const struct pki_file *file,
                     time_t now, struct error *err)
{
    const EVP_PKEY *pkey = h->members[file->member].pkey;
    AUTO(buffer) *content = file->kind == PKI_PRIVATE_JWK  ? make_jwk(pkey, KEY_PRIVATE, err)
                            : file->kind == PKI_PUBLIC_JWK ? make_jwk(pkey, KEY_PUBLIC, err)
                                                           : pki_file_make(h, file, now, err);
    AUTO(char) *folder = strdup(file->path);
    if (!content || !folder)
        return content ? error_memory(err) : false;
    *strrchr(folder, '/') = '\0';
    return output_directory(outputs, folder, err) &&
           output_add(outputs, file->path, buffer_span(content),
                      pki_file_private(file->kind) ? OUTPUT_PRIVATE : OUTPUT_PUBLIC, err);
}

/* What a certificate says, for the report. */
static bool report_cert(json_t *row, const struct pki_member *m, struct error *err)
{
    AUTO(char) *subject = cert_subject(m->cert);
    AUTO(char) *sha256 = cert_sha256_hex(m->cert, err);
    bool is_device = m->role == ROLE_TEE && m->level == LEVEL_ENTITY;
    AUTO(char) *did = is_device ? cert_did(m->cert, err) : NULL;
    if (!sha256 || (is_device && !did))
        return false;
    AUTO(json_t) *more = json_pack("{s:s*, s:s, s:s*}", "subject", subject, "sha256", sha256, "did",
                                   did);
    return (more && json_object_update(row, more) == 0) || error_memory(err);
}

static bool report_file(json_t *rows, const hierarchy *h, const struct pki_file *file,
                        struct error *err)
{
    const struct pki_member *m = &h->members[file->member];
    json_t *row = json_pack(
        "{s:o, s:s, s:s, s:s*, s:s, s:s, s:s*}", "path", json_text_of(file->path), "role",
        role_name(m->role), "level", pki_level_name(m->level), "name", m->name, "kind",
        pki_file_kind_name(file->kind), "alg", key_alg_name(m->alg), "tamid", m->tamid);
    if (!row || json_array_append_new(rows, row) != 0)
        return error_memory(err);
    return !m->cert || file->kind != PKI_CERT || report_cert(row, m, err);
}

static buffer *make_report(const hierarchy *h, const pki_files *files, const char *dir,
                           bool dry_run, struct error *err)
{
    AUTO(json_t) *rows = json_array();
    for (size_t i = 0; rows && i < files->count; i++)
        if (!report_file(rows, h, &files->files[i], err))
            return NULL;
    AUTO(json_t) *report = json_pack("{s:o, s:b, s:O}", "pki", json_text_of(dir), "dry_run",
                                     (int)dry_run, "files", rows);
    buffer *text = report ? json_pretty(report) : NULL;
    if (!text)
        error_memory(err);
    return text;
}

static enum rc list_files(const struct applet_call *call, const hierarchy *h,
                          const pki_files *files, const char *dir, struct error *err)
{
    AUTO(buffer) *text = call->common->json ? make_report(h, files, dir, true, err)
                                            : buffer_new(4096);
    if (!text)
        return call->common->json ? err->rc : (error_memory(err), err->rc);
    for (size_t i = 0; !call->common->json && i < files->count; i++)
        buffer_put_format(text, "%s\n", files->files[i].path);
    if (text->failed)
        return error_memory(err), err->rc;
    return stdout_write(buffer_span(text), err) ? RC_OK : err->rc;
}

static void summarise(const struct applet_call *call, const hierarchy *h, const pki_files *files,
                      const char *dir)
{
    size_t of[LEVEL_COUNT] = {0};
    for (size_t i = 0; i < h->count; i++)
        of[h->members[i].level]++;
    say(call, "%s: %zu roots, %zu CAs, %zu end entities in %zu files", dir, of[LEVEL_ROOT],
        of[LEVEL_CA], of[LEVEL_ENTITY], files->count);
}

static enum rc run(const struct applet_call *call, struct error *err)
{
    const struct pki_init *o = call->options;
    const char *dir = o->out ? o->out : "pki";
    time_t now = clock_now(&call->clock);

    /* inputs */
    AUTO(buffer) *passphrase = o->passout ? passphrase_choose(o->passout, err) : NULL;
    AUTO(hierarchy) *h = o->passout && !passphrase ? NULL : plan(o, err);
    if (h)
        h->passphrase = passphrase;
    AUTO(pki_files) *files = h ? pki_files_plan(h, dir, err) : NULL;
    AUTO(char) *folder = !files         ? NULL
                         : o->templates ? strdup(o->templates)
                                        : install_templates(err);
    AUTO(templates) *looks = folder ? templates_load(folder, err) : NULL;
    if (!looks || !hierarchy_rehearse(h, looks, now, err))
        return err->rc;
    AUTO(output_set) *outputs = output_set_new(call->common->force);
    if (!outputs)
        return error_memory(err), err->rc;
    if (!check_place(files, dir, outputs, err))
        return err->rc;
    warn_of_alg(call, h);
    if (o->dry_run)
        return list_files(call, h, files, dir, err);

    /* act */
    if (!make_keys(call, h, o->jobs, err) || !hierarchy_issue(h, looks, now, err))
        return err->rc;

    /* outputs */
    for (size_t i = 0; i < files->count; i++)
        if (!add_file(outputs, h, &files->files[i], now, err))
            return err->rc;
    if (call->common->json) {
        AUTO(buffer) *report = make_report(h, files, dir, false, err);
        if (!report || !output_add(outputs, "-", buffer_span(report), OUTPUT_PUBLIC, err))
            return err->rc;
    }
    if (!output_commit(outputs, err))
        return err->rc;
    summarise(call, h, files, dir);
    return RC_OK;
}

const struct applet applet_pki_init = {
    .uses = USES_JSON | USES_NOW | USES_FORCE,
    .options = options,
    .size = sizeof(struct pki_init),
    .run = run,
    .examples =
        (const char *const[]){"otrp pki-init",
                              "otrp pki-init --root-alg ec-p256 --ca-alg ec-p256 --alg ec-p256 "
                              "--tam mytam=1.3.6.1.4.1.99999.7 --tee device1 --tee device2",
                              NULL},
};
