/* SPDX-License-Identifier: Apache-2.0 */
/* world.h: a TAM and a device of a PKI directory, for programs that test or measure the device. */
#ifndef OTRP_TESTS_TEE_WORLD_H
#define OTRP_TESTS_TEE_WORLD_H

#include "jose/key_set.h"
#include "pki/layout.h"
#include "sim/tee.h"
#include "util/file.h"
#include "util/limits.h"

struct world_tam {
    key_set *keys;
    X509_stack *chain;
    json_t *ocspdat;
    char *tamid;
};

static key_set *world_key(const char *path, struct error *err)
{
    const struct key_how how = {.part = KEY_PRIVATE};
    return key_set_load(path, &how, err);
}

static bool world_tam(struct world_tam *tam, const char *pki, const char *name, struct error *err)
{
    AUTO(identity) *id = identity_find(pki, ROLE_TAM, name, err);
    tam->keys = id ? world_key(id->key_path, err) : NULL;
    tam->chain = tam->keys ? cert_load(id->chain_path, err) : NULL;
    tam->tamid = tam->chain ? cert_tamid(sk_X509_value(tam->chain, 0), err) : NULL;
    AUTO(buffer) *staple = tam->tamid ? input_read(id->ocsp_path, LIMIT_SMALL_JSON, err) : NULL;
    tam->ocspdat = staple ? json_load_span(buffer_span(staple), "stapling set", err) : NULL;
    return tam->ocspdat != NULL;
}

static void world_tam_free(struct world_tam *tam)
{
    key_set_free(tam->keys);
    sk_X509_pop_free(tam->chain, X509_free);
    json_decref(tam->ocspdat);
    free(tam->tamid);
}

/* The device mytee with its firmware, made in folder and opened. */
static device *world_device(const char *pki, const char *folder, const struct device_limits *bounds,
                            struct error *err)
{
    AUTO(identity) *tee = identity_find(pki, ROLE_TEE, "mytee", err);
    AUTO(identity) *tfw = tee ? identity_find(pki, ROLE_TFW, "mytee", err) : NULL;
    AUTO(key_set) *tee_keys = tfw ? world_key(tee->key_path, err) : NULL;
    AUTO(key_set) *tfw_keys = tee_keys ? world_key(tfw->key_path, err) : NULL;
    AUTO(X509_stack) *chain = tfw_keys ? cert_load(tee->chain_path, err) : NULL;
    AUTO(X509_stack) *tfw_chain = chain ? cert_load(tfw->chain_path, err) : NULL;
    AUTO(X509_stack) *roots = tfw_chain ? layout_roots(pki, ROLE_TAM, err) : NULL;
    AUTO(X509_stack) *tfw_roots = roots ? layout_roots(pki, ROLE_TFW, err) : NULL;
    if (!tfw_roots)
        return NULL;
    const struct device_parts parts = {.name = "mytee",
                                       .version = "1.0",
                                       .tee_key = tee_keys->keys[0],
                                       .tee_chain = chain,
                                       .tam_anchors = roots,
                                       .tfw_key = tfw_keys->keys[0],
                                       .tfw_chain = tfw_chain,
                                       .tfw_anchors = tfw_roots,
                                       .limits = *bounds,
                                       .signerreq = true};
    return device_create(folder, &parts, 1, err) ? device_open(folder, NULL, err) : NULL;
}

#endif
