/* SPDX-License-Identifier: Apache-2.0 */
#include "applets/help_topics.h"
#include "applets/words.h"

#include <ctype.h>
#include <string.h>

#include "applet.h"
#include "jose/jwa.h"
#include "otrp/error_code.h"
#include "otrp/message.h"
#include "util/install.h"

static void put_exit_code(buffer *out, enum rc rc)
{
    buffer_put_format(out, "%d  %-10s %s\n", rc, rc_name(rc), rc_meaning(rc));
}

static void put_exit_codes(buffer *out)
{
    for (int rc = RC_OK; rc <= RC_PARTIAL; rc++)
        put_exit_code(out, (enum rc)rc);
}

static void put_algorithms(buffer *out)
{
    static const char *const kinds[] = {"signature", "key management", "content encryption"};
    for (size_t i = 0; i < jwa_count; i++)
        buffer_put_format(
            out, "%-16s %-20s %-14s %s\n", jwa_table[i].name, kinds[jwa_table[i].kind],
            jwa_available(&jwa_table[i]) ? "available" : "not available", jwa_table[i].section);
}

static void put_error_codes(buffer *out)
{
    for (int id = ERR_NONE + 1; id < ERR_COUNT; id++) {
        const struct error_code *code = error_code_row((enum error_code_id)id);
        buffer_put_format(out, "%-28s %s\n", code->name, code->meaning);
    }
}

static bool put_error_code(buffer *out, const char *name)
{
    const struct error_code *code = error_code_find(name);
    if (code)
        buffer_put_format(out, "%s: %s\n\nSent by: %s\nUsual cause: %s\nWhat to try: %s\n",
                          code->name, code->meaning, code->sender, code->cause, code->remedy);
    return code != NULL;
}

/* Lists of one line an entry. "messages" is one, too; its home is help_messages.h. */
static const struct list {
    const char *name;
    void (*put)(buffer *out);
} lists[] = {
    {"exit-codes", put_exit_codes}, {"errors", put_error_codes}, {"algorithms", put_algorithms}};

/* The files of the man pages of section 5. The examples are right beside a PKI in ./pki; used_by is
 * NULL where the tables of the commands know. */
static const struct file_topic {
    const char *name, *page, *summary, *used_by, *example;
} file_topics[] = {
    {"policy", "otrp-policy", "what a TAM wants its devices to hold", "otrp tam-stub --policy FILE",
     "{\n"
     "  \"sps\": [\n"
     "    { \"spid\": \"xbank\",\n"
     "      \"cert\": \"pki/sp/sp/sp-xbank-rsa-cert-plus-intermediate-cert.pem\",\n"
     "      \"key\": \"pki/sp/sp/sp-xbank-rsa-key.pem\",\n"
     "      \"sds\": [\n"
     "        { \"name\": \"payments\",\n"
     "          \"tas\": [ { \"taid\": \"demo\", \"file\": \"ta.bin\", \"version\": 1 } ] } ] } "
     "],\n"
     "  \"remove_unlisted\": true\n"
     "}\n"},
    {"scenario", "otrp-scenario", "requests of a TAM, and the outcome expected of each",
     "otrp tam-stub --scenario FILE",
     "{\n"
     "  \"name\": \"an SD comes and goes\",\n"
     "  \"steps\": [\n"
     "    { \"request\": \"get-device-state\" },\n"
     "    { \"request\": \"create-sd\", \"spid\": \"xbank\", \"sdname\": \"payments\",\n"
     "      \"spcert\": \"pki/sp/sp/sp-xbank-rsa-cert.pem\" },\n"
     "    { \"request\": \"delete-sd\", \"spid\": \"xbank\", \"sdname\": \"payments\",\n"
     "      \"break\": \"signature\", \"expect\": \"ERR_REQUEST_INVALID\" },\n"
     "    { \"request\": \"delete-sd\", \"spid\": \"xbank\", \"sdname\": \"payments\" }\n"
     "  ]\n"
     "}\n"},
    {"manifest", "otrp-manifest", "who is to get a certificate, as CSV",
     "otrp pki-issue --manifest FILE",
     "role,name,alg\n"
     "tee,unit1,ec-p256\n"
     "tfw,unit1,ec-p256\n"},
    {"transcript", "otrp-transcript", "what went over the wire, as JSON lines",
     "otrp send, proxy, diagram and inspect",
     "otrp diagram session.jsonl\n"
     "jq -r 'select(.direction == \"request\" and .bytes > 0) | .body' session.jsonl\n"},
    {"templates", "otrp-templates", "what certificates look like, as OpenSSL configuration",
     "otrp pki-init and pki-issue, --templates DIR",
     "[profile]\n"
     "subject    = subject\n"
     "days       = 365\n"
     "extensions = extensions\n"
     "\n"
     "[subject]\n"
     "O  = Example Bank\n"
     "CN = {name}\n"
     "\n"
     "[extensions]\n"
     "basicConstraints = critical, CA:FALSE\n"
     "keyUsage         = critical, digitalSignature\n"},
    {"ledger", "otrp-ledger", "what a CA has issued and revoked, as OpenSSL's index.txt",
     "otrp pki-issue, pki-revoke, pki-crl, pki-ocsp and pki-check",
     "cut -f 1,4,6 pki/sp/sp-ca/sp-ca-1-ec-index.txt\n"},
    {"json", "otrp-report", "reports and errors as JSON", NULL,
     "otrp verify --trust pki/tam/tam-rootca --json request.json | jq .verified\n"
     "otrp doctor --json | jq .sound\n"},
};

static void put_commands_with_json(buffer *out)
{
    for (size_t i = 0; i < applet_count; i++) {
        const struct applet *applet = applets[i].applet;
        if (applet->uses & USES_JSON)
            buffer_put_format(out, "  otrp %s\n", applets[i].name);
        for (const struct applet_command *c = applet->commands; c && c->name; c++)
            if (c->applet.uses & USES_JSON)
                buffer_put_format(out, "  otrp %s %s\n", applets[i].name, c->name);
    }
}

static void put_indented(buffer *out, const char *text)
{
    while (*text) {
        int length = (int)strcspn(text, "\n");
        buffer_put_format(out, length ? "  %.*s\n" : "%.*s\n", length, text);
        text += length;
        text += *text == '\n';
    }
}

static void put_file_topic(buffer *out, const struct file_topic *t)
{
    struct error ignored;
    AUTO(char) *page = install_file_page(t->page, &ignored);
    buffer_put_format(out, "%s: %s\n\nUsed by:\n", t->name, t->summary);
    if (t->used_by)
        put_indented(out, t->used_by);
    else
        put_commands_with_json(out);
    buffer_put_text(out, "\nTo begin with:\n");
    put_indented(out, t->example);
    buffer_put_format(out, "\nAll of it:\n  man %s%s\n", page ? "" : "5 ", page ? page : t->page);
}

bool put_help_topic(buffer *out, const char *name)
{
    if (name[0] >= '0' + RC_OK && name[0] <= '0' + RC_PARTIAL && !name[1])
        return put_exit_code(out, (enum rc)(name[0] - '0')), true;
    for (size_t i = 0; i < COUNT(lists); i++)
        if (strcmp(name, lists[i].name) == 0)
            return lists[i].put(out), true;
    for (size_t i = 0; i < COUNT(file_topics); i++) {
        const struct file_topic *t = &file_topics[i];
        const char *short_page = t->page + strlen("otrp-");
        if (strcmp(name, t->name) == 0 || strcmp(name, t->page) == 0 ||
            strcmp(name, short_page) == 0)
            return put_file_topic(out, t), true;
    }
    return put_error_code(out, name);
}

void each_help_topic(void (*each)(void *context, const char *name), void *context)
{
    for (size_t i = 0; i < applet_count; i++)
        each(context, applets[i].name);
    for (size_t i = 0; i < COUNT(lists); i++)
        each(context, lists[i].name);
    for (size_t i = 0; i < COUNT(file_topics); i++)
        each(context, file_topics[i].name);
    each(context, "messages");
    for (int i = 0; i < MESSAGE_COUNT; i++) {
        const struct message_type *type = message_type((enum message_id)i);
        each(context, type->option);
        each(context, type->request);
        each(context, type->response);
    }
    for (size_t i = 0; i < other_message_count; i++)
        each(context, other_messages[i].name);
    words_error_code(each, context);
}

enum { TOPICS_MOST = 160, TOPIC_BYTES = 48 };

/* Every topic, in small letters for the comparison. */
struct topics {
    const char *names[TOPICS_MOST], *small[TOPICS_MOST];
    char text[TOPICS_MOST][TOPIC_BYTES];
    size_t count;
};

static void small_letters(char out[TOPIC_BYTES], const char *text)
{
    size_t i = 0;
    for (; text[i] && i + 1 < TOPIC_BYTES; i++)
        out[i] = (char)tolower((unsigned char)text[i]);
    out[i] = '\0';
}

static void add_topic(void *context, const char *name)
{
    struct topics *t = context;
    if (t->count == TOPICS_MOST)
        return;
    small_letters(t->text[t->count], name);
    t->small[t->count] = t->text[t->count];
    t->names[t->count++] = name;
}

const char *help_topic_nearest(const char *word)
{
    struct topics t = {.count = 0};
    each_help_topic(add_topic, &t);
    char small[TOPIC_BYTES];
    small_letters(small, word);
    const char *near = nearest(small, t.small, t.count);
    for (size_t i = 0; near && i < t.count; i++)
        if (near == t.small[i])
            return t.names[i];
    return NULL;
}
