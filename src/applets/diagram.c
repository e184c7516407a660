/* SPDX-License-Identifier: Apache-2.0 */
/* otrp diagram: who sent what to whom, drawn from a transcript. */
#include "applets/common.h"

#include <string.h>

#include "net/picture.h"

struct diagram {
    const char *format, *out, *transcript;
    struct text_list key;
};

static const char *const formats[] = {"svg", "text", "mermaid", NULL};

static const struct option_row options[] = {
    OPT_CHOICE(diagram, format, 't', "FORM", formats, 0, "form of the picture (default svg)"),
    OPT_LIST(diagram, key, 'k', "KEY", OPT_FILE,
             "private key of the TAM or the TEE: say what is in the messages that it opens; "
             "repeatable"),
    OPT_TEXT(diagram, out, 'o', "FILE", OPT_FILE,
             "write the picture to FILE (default: standard output)"),
    OPERAND(diagram, transcript, "TRANSCRIPT", OPT_FILE,
            "as recorded by send or proxy (default: standard input)"),
    OPT_END};

static enum rc run(const struct applet_call *call, struct error *err)
{
    static buffer *(*const render[])(const picture *) = {picture_svg, picture_text,
                                                         picture_mermaid};
    const struct diagram *o = call->options;
    size_t format = 0;
    while (o->format && strcmp(formats[format], o->format) != 0)
        format++;

    AUTO(key_set) *keys = NULL;
    if (!call_keys_all(call, &o->key, KEY_PRIVATE, &keys, err))
        return err->rc;
    AUTO(buffer) *text = input_read(o->transcript, limits.file_bytes, err);
    AUTO(picture) *drawn = text ? picture_read(buffer_span(text), input_name(o->transcript), keys,
                                               err)
                                : NULL;
    if (!drawn)
        return err->rc;
    if (drawn->cut)
        warn(call, "warning: %s ends within a line, which is left out", input_name(o->transcript));
    buffer *form = render[format](drawn);
    return form ? call_put_buffer(call, o->out, form, OUTPUT_PUBLIC, err)
                : (error_memory(err), err->rc);
}

const struct applet applet_diagram = {
    .uses = USES_KEYS | USES_LIMITS | USES_FORCE | USES_JSON,
    .options = options,
    .size = sizeof(struct diagram),
    .run = run,
    .examples =
        (const char *const[]){"otrp diagram session.jsonl -o session.svg",
                              "otrp diagram --format text session.jsonl",
                              "otrp diagram -t mermaid -k pki/tam/tam/tam-mytam-rsa-key.pem "
                              "session.jsonl",
                              NULL},
};
