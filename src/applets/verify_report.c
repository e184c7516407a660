/* SPDX-License-Identifier: Apache-2.0 */
/* What otrp verify tells: the rows of --explain, the report of --json, the extent of a verdict. */
#include "applets/verify.h"

#include <stdio.h>
#include <string.h>

#include "util/terminal.h"

void checks_add(evidence *e, const char *name, const char *title, const char *section,
                const char *verdict, const char *reason)
{
    json_array_append_new(e->checks, json_pack("{s:s, s:s, s:s, s:s*, s:o*}", "check", name,
                                               "verdict", verdict, "title", title, "rule", section,
                                               "reason", json_text_of(reason)));
}

void checks_extent(const evidence *e, char text[120])
{
    size_t i, passed = 0, open = 0;
    json_t *check;
    json_array_foreach (e->checks, i, check) {
        const char *verdict = json_string_value(json_object_get(check, "verdict"));
        passed += strcmp(verdict, "passed") == 0;
        open += strcmp(verdict, "not checked") == 0;
    }
    text[0] = '\0';
    if (open)
        snprintf(text, 120, " (%zu of %zu checks; the others need the device%s)", passed,
                 json_array_size(e->checks),
                 !e->anchors                 ? " or --trust"
                 : e->options->no_revocation ? " or OCSP responses"
                                             : "");
}

void checks_print(const evidence *e)
{
    size_t i;
    json_t *check;
    json_array_foreach (e->checks, i, check) {
        const char *reason = json_string_value(json_object_get(check, "reason"));
        fprintf(stderr, "%2zu  %-11s  %s (%s)\n", i + 1,
                json_string_value(json_object_get(check, "verdict")),
                json_string_value(json_object_get(check, "title")),
                json_string_value(json_object_get(check, "rule")));
        if (reason) {
            fputs("                 ", stderr);
            terminal_put_line(stderr, reason);
            fputc('\n', stderr);
        }
    }
    json_array_foreach (e->deviations, i, check) {
        fputs("deviation       ", stderr);
        terminal_put_line(stderr, json_string_value(json_object_get(check, "path")));
        fprintf(stderr, ": %s (%s)\n", json_string_value(json_object_get(check, "title")),
                json_string_value(json_object_get(check, "rule")));
    }
}

void deviations_tell(const evidence *e)
{
    for (size_t i = 0; i < json_array_size(e->deviations); i++) {
        const json_t *deviation = json_array_get(e->deviations, i);
        say(e->call, "note: %s: %s (%s)", json_string_value(json_object_get(deviation, "path")),
            json_string_value(json_object_get(deviation, "title")),
            json_string_value(json_object_get(deviation, "rule")));
    }
}

/* {"verified": ..., "exit": ..., "message": ..., "checks": [...]} on standard output, and unless
 * the message was read strictly the deviations. */
bool report_print(const evidence *e, bool verified, const struct error *failure, struct error *err)
{
    AUTO(json_t) *report = json_pack(
        "{s:b, s:i, s:o*, s:o*, s:o*, s:O}", "verified", verified, "exit",
        verified ? 0 : (int)failure->rc, "message", verified ? json_text_of(e->subject) : NULL,
        "reason", verified ? NULL : json_text_of(failure->message), "hint",
        !verified && failure->hint[0] ? json_text_of(failure->hint) : NULL, "checks", e->checks);
    if (report && e->reading)
        json_object_set(report, "deviations", e->deviations);
    AUTO(buffer) *text = report ? json_pretty(report) : NULL;
    return text ? stdout_write(buffer_span(text), err) : error_memory(err);
}
