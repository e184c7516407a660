/* SPDX-License-Identifier: Apache-2.0 */
#include "otrp/message.h"

#include <string.h>

#define MANDATORY true
#define OPTIONAL  false
#define END                                                                                        \
    {                                                                                              \
        NULL, MEMBER_TEXT, OPTIONAL, NULL                                                          \
    }

/* What every request may carry (otrp-messages(7), COMMON MEMBERS). */
#define COMMON                                                                                     \
    {"ver", MEMBER_TEXT, MANDATORY, NULL}, {"rid", MEMBER_NAME, MANDATORY, NULL},                  \
        {"tid", MEMBER_TID, MANDATORY, NULL},                                                      \
    {                                                                                              \
        "supportedsigalgs", MEMBER_TEXT_LIST, OPTIONAL, NULL                                       \
    }

/* What every request but GetDeviceState carries. */
#define ADDRESSED                                                                                  \
    COMMON, {"ocspdat", MEMBER_BASE64_LIST, OPTIONAL, NULL},                                       \
        {"tee", MEMBER_NAME, MANDATORY, NULL}, {"nextdsi", MEMBER_BOOLEAN, MANDATORY, NULL},       \
        {"dsihash", MEMBER_BASE64, MANDATORY, NULL},                                               \
    {                                                                                              \
        "content", MEMBER_OBJECT, MANDATORY, NULL                                                  \
    }

static const struct member get_device_state_tbs[] = {
    COMMON, {"ocspdat", MEMBER_BASE64_LIST, MANDATORY, NULL}, END};
static const struct member addressed_tbs[] = {ADDRESSED, END};

static const struct member install_encrypted_ta[] = {
    {"key", MEMBER_OBJECT, MANDATORY, NULL},
    {"iv", MEMBER_HEX, MANDATORY, NULL},
    {"alg", MEMBER_TEXT, MANDATORY, NULL},
    {"ciphertadata", MEMBER_BASE64, MANDATORY, NULL},
    {"cipherpdata", MEMBER_BASE64, OPTIONAL, NULL},
    END};
static const struct member update_encrypted_ta[] = {
    {"key", MEMBER_OBJECT, MANDATORY, NULL},
    {"iv", MEMBER_HEX, MANDATORY, NULL},
    {"alg", MEMBER_TEXT, MANDATORY, NULL},
    {"ciphernewtadata", MEMBER_BASE64, OPTIONAL, NULL},
    {"ciphernewpdata", MEMBER_BASE64, OPTIONAL, NULL},
    END};
static const struct member install_tbs[] = {
    ADDRESSED, {"encrypted_ta", MEMBER_OBJECT, MANDATORY, install_encrypted_ta}, END};
static const struct member update_ta_tbs[] = {
    ADDRESSED, {"encrypted_ta", MEMBER_OBJECT, MANDATORY, update_encrypted_ta}, END};

static const struct member create_sd_content[] = {
    {"spid", MEMBER_NAME, MANDATORY, NULL},     {"sdname", MEMBER_NAME, MANDATORY, NULL},
    {"spcert", MEMBER_BASE64, MANDATORY, NULL}, {"tamid", MEMBER_NAME, MANDATORY, NULL},
    {"did", MEMBER_NAME, MANDATORY, NULL},      END};
static const struct member update_sd_changes[] = {{"newsdname", MEMBER_NAME, OPTIONAL, NULL},
                                                  {"newspid", MEMBER_NAME, OPTIONAL, NULL},
                                                  {"spcert", MEMBER_BASE64_LIST, OPTIONAL, NULL},
                                                  {"deloldspcert", MEMBER_HEX_LIST, OPTIONAL, NULL},
                                                  {"renewteespaik", MEMBER_BOOLEAN, OPTIONAL, NULL},
                                                  END};
static const struct member update_sd_content[] = {
    {"tamid", MEMBER_NAME, MANDATORY, NULL},
    {"spid", MEMBER_NAME, MANDATORY, NULL},
    {"sdname", MEMBER_NAME, MANDATORY, NULL},
    {"changes", MEMBER_OBJECT, MANDATORY, update_sd_changes},
    END};
static const struct member delete_sd_content[] = {{"tamid", MEMBER_NAME, MANDATORY, NULL},
                                                  {"sdname", MEMBER_NAME, MANDATORY, NULL},
                                                  {"deleteta", MEMBER_BOOLEAN, MANDATORY, NULL},
                                                  END};
static const struct member install_ta_content[] = {{"tamid", MEMBER_NAME, MANDATORY, NULL},
                                                   {"spid", MEMBER_NAME, MANDATORY, NULL},
                                                   {"sdname", MEMBER_NAME, MANDATORY, NULL},
                                                   {"spcert", MEMBER_BASE64, OPTIONAL, NULL},
                                                   {"taid", MEMBER_NAME, MANDATORY, NULL},
                                                   {"taname", MEMBER_NAME, OPTIONAL, NULL},
                                                   END};
static const struct member update_ta_content[] = {
    {"tamid", MEMBER_NAME, MANDATORY, NULL},  {"spid", MEMBER_NAME, MANDATORY, NULL},
    {"sdname", MEMBER_NAME, MANDATORY, NULL}, {"spcert", MEMBER_BASE64, OPTIONAL, NULL},
    {"taid", MEMBER_NAME, MANDATORY, NULL},   END};
static const struct member delete_ta_content[] = {{"tamid", MEMBER_NAME, MANDATORY, NULL},
                                                  {"sdname", MEMBER_NAME, MANDATORY, NULL},
                                                  {"taid", MEMBER_NAME, MANDATORY, NULL},
                                                  END};

/* What every answer carries. Unknown members of an answer are accepted, and told. */
#define ANSWER                                                                                     \
    {"ver", MEMBER_TEXT, MANDATORY, NULL}, {"status", MEMBER_TEXT, MANDATORY, NULL},               \
        {"rid", MEMBER_TEXT, MANDATORY, NULL}, {"tid", MEMBER_TEXT, MANDATORY, NULL},              \
        {"reason", MEMBER_OBJECT, OPTIONAL, reason},                                               \
    {                                                                                              \
        "supportedsigalgs", MEMBER_TEXT_LIST, OPTIONAL, NULL                                       \
    }

static const struct member reason[] = {{"error-code", MEMBER_NAME, MANDATORY, NULL},
                                       {"error-message", MEMBER_TEXT, OPTIONAL, NULL},
                                       END};
static const struct member device_answer[] = {ANSWER,
                                              {"signerreq", MEMBER_BOOLEAN, OPTIONAL, NULL},
                                              {"edsi", MEMBER_OBJECT, OPTIONAL, NULL},
                                              END};
static const struct member answer[] = {ANSWER, {"content", MEMBER_OBJECT, OPTIONAL, NULL}, END};

/* The DSI (otrp-messages(7), GetDeviceState). */
static const struct member tfwdata[] = {{"tbs", MEMBER_BASE64, MANDATORY, NULL},
                                        {"cert", MEMBER_BASE64, MANDATORY, NULL},
                                        {"sigalg", MEMBER_NAME, MANDATORY, NULL},
                                        {"sig", MEMBER_BASE64, MANDATORY, NULL},
                                        END};
static const struct member ta_entry[] = {
    {"taid", MEMBER_NAME, MANDATORY, NULL}, {"taname", MEMBER_NAME, OPTIONAL, NULL}, END};
static const struct member sd_entry[] = {{"name", MEMBER_NAME, MANDATORY, NULL},
                                         {"spid", MEMBER_NAME, MANDATORY, NULL},
                                         {"talist", MEMBER_OBJECT_LIST, MANDATORY, ta_entry},
                                         END};
static const struct member sdlist[] = {
    {"cnt", MEMBER_NAME, MANDATORY, NULL}, {"sd", MEMBER_OBJECT_LIST, MANDATORY, sd_entry}, END};
static const struct member aik_entry[] = {{"spaik", MEMBER_BASE64, MANDATORY, NULL},
                                          {"spaiktype", MEMBER_NAME, MANDATORY, NULL},
                                          {"spid", MEMBER_NAME, MANDATORY, NULL},
                                          END};
static const struct member tee_entry[] = {{"name", MEMBER_NAME, MANDATORY, NULL},
                                          {"ver", MEMBER_NAME, MANDATORY, NULL},
                                          {"cert", MEMBER_BASE64, MANDATORY, NULL},
                                          {"cacert", MEMBER_BASE64_LIST, MANDATORY, NULL},
                                          {"sdlist", MEMBER_OBJECT, MANDATORY, sdlist},
                                          {"teeaiklist", MEMBER_OBJECT_LIST, MANDATORY, aik_entry},
                                          END};
static const struct member dsi_members[] = {{"tfwdata", MEMBER_OBJECT, OPTIONAL, tfwdata},
                                            {"tee", MEMBER_OBJECT, MANDATORY, tee_entry},
                                            END};
static const struct member edsi_content[] = {{"dsi", MEMBER_OBJECT, MANDATORY, dsi_members}, END};

/* What every decrypted content of an answer may carry; reason only in a failure. */
#define ANSWERED                                                                                   \
    {"did", MEMBER_NAME, MANDATORY, NULL}, {"dsi", MEMBER_OBJECT, OPTIONAL, dsi_members},          \
    {                                                                                              \
        "reason", MEMBER_OBJECT, OPTIONAL, reason                                                  \
    }
#define MADE_AIK                                                                                   \
    {"teespaik", MEMBER_BASE64, OPTIONAL, NULL},                                                   \
    {                                                                                              \
        "teespaiktype", MEMBER_NAME, OPTIONAL, NULL                                                \
    }
static const struct member create_sd_answer[] = {
    ANSWERED, MADE_AIK, {"sdname", MEMBER_NAME, OPTIONAL, NULL}, END};
static const struct member update_sd_answer[] = {
    ANSWERED, MADE_AIK, {"cert", MEMBER_BASE64, OPTIONAL, NULL}, END};
static const struct member plain_answer[] = {ANSWERED, END};

#define TYPE(id, name, option, section, tbs, content, answer_content)                              \
    [id] = {id,                                                                                    \
            name,                                                                                  \
            option,                                                                                \
            name "Request",                                                                        \
            name "TBSRequest",                                                                     \
            name "Response",                                                                       \
            name "TBSResponse",                                                                    \
            section,                                                                               \
            tbs,                                                                                   \
            content,                                                                               \
            "content",                                                                             \
            answer,                                                                                \
            answer_content}

static const struct message_type types[MESSAGE_COUNT] = {
    [MESSAGE_GET_DEVICE_STATE] = {MESSAGE_GET_DEVICE_STATE, "GetDeviceState", "get-device-state",
                                  "GetDeviceStateRequest", "GetDeviceStateTBSRequest",
                                  "GetDeviceStateResponse", "GetDeviceTEEStateTBSResponse",
                                  "section 9.1", get_device_state_tbs, NULL, "edsi", device_answer,
                                  edsi_content},
    TYPE(MESSAGE_CREATE_SD, "CreateSD", "create-sd", "section 9.2.1", addressed_tbs,
         create_sd_content, create_sd_answer),
    TYPE(MESSAGE_UPDATE_SD, "UpdateSD", "update-sd", "section 9.2.2", addressed_tbs,
         update_sd_content, update_sd_answer),
    TYPE(MESSAGE_DELETE_SD, "DeleteSD", "delete-sd", "section 9.2.3", addressed_tbs,
         delete_sd_content, plain_answer),
    TYPE(MESSAGE_INSTALL_TA, "InstallTA", "install-ta", "section 9.3.1", install_tbs,
         install_ta_content, plain_answer),
    TYPE(MESSAGE_UPDATE_TA, "UpdateTA", "update-ta", "section 9.3.2", update_ta_tbs,
         update_ta_content, plain_answer),
    TYPE(MESSAGE_DELETE_TA, "DeleteTA", "delete-ta", "section 9.3.3", addressed_tbs,
         delete_ta_content, plain_answer),
};

static const struct member query[] = {{"spid", MEMBER_NAME, MANDATORY, NULL},
                                      {"taid", MEMBER_NAME, MANDATORY, NULL},
                                      {"nonce", MEMBER_TEXT, OPTIONAL, NULL},
                                      {"tamid", MEMBER_NAME, OPTIONAL, NULL},
                                      END};
static const struct member information[] = {{"taid", MEMBER_NAME, MANDATORY, NULL},
                                            {"tamid", MEMBER_NAME, MANDATORY, NULL},
                                            {"spid", MEMBER_NAME, MANDATORY, NULL},
                                            {"nonce", MEMBER_TEXT, OPTIONAL, NULL},
                                            {"signercert", MEMBER_BASE64, MANDATORY, NULL},
                                            {"signercacerts", MEMBER_BASE64_LIST, MANDATORY, NULL},
                                            {"tamcert", MEMBER_BASE64, MANDATORY, NULL},
                                            {"tamcacerts", MEMBER_BASE64_LIST, MANDATORY, NULL},
                                            END};
static const struct member broker_error[] = {{"ver", MEMBER_TEXT, MANDATORY, NULL},
                                             {"rid", MEMBER_TEXT, MANDATORY, NULL},
                                             {"tid", MEMBER_TEXT, MANDATORY, NULL},
                                             {"errcode", MEMBER_NAME, MANDATORY, NULL},
                                             END};

const struct other_message other_messages[] = {
    {"TAQuery", NULL, "client application to TEE", "section 6.4.2", query},
    {"TAInformation", "TAInformationTBS", "TEE to client application", "section 6.4.2",
     information},
    {"OTrPBrokerError", NULL, "broker to TAM", "section 10", broker_error},
};
const size_t other_message_count = COUNT(other_messages);

const struct message_type *message_type(enum message_id id)
{
    return &types[id];
}

const struct message_type *message_find_request(struct span outer_name)
{
    for (size_t i = 0; i < COUNT(types); i++)
        if (span_is(outer_name, types[i].request))
            return &types[i];
    return NULL;
}

const struct message_type *message_find_response(struct span outer_name)
{
    for (size_t i = 0; i < COUNT(types); i++)
        if (span_is(outer_name, types[i].response))
            return &types[i];
    return NULL;
}

const struct message_type *message_find_option(const char *option)
{
    for (size_t i = 0; i < COUNT(types); i++)
        if (strcmp(option, types[i].option) == 0)
            return &types[i];
    return NULL;
}

const struct other_message *message_find_other(struct span outer_name)
{
    for (size_t i = 0; i < other_message_count; i++)
        if (span_is(outer_name, other_messages[i].name))
            return &other_messages[i];
    return NULL;
}

const struct json_value *message_jws(const struct json_value *value)
{
    return value->kind == JSON_KIND_ARRAY ? json_member(value->first, GET_DEVICE_STATE_ELEMENT)
                                          : value;
}
