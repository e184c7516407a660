/* SPDX-License-Identifier: Apache-2.0 */
/* The log of tam-stub on standard error: lines for people, or with --json lines of JSON. */
#include "applets/tam_stub_setup.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "applets/server_log.h"

void tam_log(const struct applet_call *call, const char *event, const struct tam_note *note)
{
    bool urgent = strcmp(event, "warning") == 0;
    if (call->common->quiet && !urgent)
        return;
    if (call->common->json)
        return server_log_json(call, event,
                               json_pack("{s:o*, s:o*, s:o*}", "tid", json_text_of(note->tid),
                                         "did", json_text_of(note->did), "text",
                                         json_text_of(note->text)));
    if (strcmp(event, "session") == 0)
        warn(call, "%.22s %s", note->tid ? note->tid : "-", note->text);
    else
        warn(call, "%s%s", urgent ? "warning: " : "", note->text);
}

static void log_text(const struct applet_call *call, const char *event, const char *format,
                     va_list args)
{
    char text[1600];
    vsnprintf(text, sizeof text, format, args);
    tam_log(call, event, &(struct tam_note){NULL, NULL, text});
}

void tam_say(const struct applet_call *call, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    log_text(call, "server", format, args);
    va_end(args);
}

void tam_warn(const struct applet_call *call, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    log_text(call, "warning", format, args);
    va_end(args);
}

void tam_hint(const struct applet_call *call, const char *text)
{
    if (call->common->json)
        tam_log(call, "warning", &(struct tam_note){NULL, NULL, text});
    else
        warn(call, "hint: %s", text);
}
