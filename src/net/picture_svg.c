/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A picture as SVG 1.1 that stands alone: no script, no font, nothing that is fetched. Colours
 * follow the reader's light or dark scheme on a screen; paper is white. Classes carry colours
 * themselves, without variables, since not every viewer knows those.
 */
#include "net/picture.h"

#include <math.h>
#include <string.h>

enum {
    WIDTH = 900,
    MARGIN = 40,
    DEVICE_X = 190,
    TAM_X = 770,
    PROXY_X = (DEVICE_X + TAM_X) / 2,
    ACTOR_Y = 112,
    ACTOR_WIDTH = 150,
    ACTOR_HEIGHT = 46,
    FIRST_ROW_Y = ACTOR_Y + ACTOR_HEIGHT + 18,
    ROW_HEIGHT = 62,
    NOTE_HEIGHT = 17,
    TITLE_COLUMNS = 62, /* what fits between the lines in the size of its text */
    FACT_COLUMNS = 84,
    HEADER_COLUMNS = 110,
    DESCRIBED = 50 /* rows that the description tells one by one */
};

static const char style[] =
    "text{font-family:system-ui,-apple-system,\"Segoe UI\",Roboto,\"Helvetica Neue\",Arial,"
    "\"Liberation Sans\",sans-serif;font-size:12px;fill:#1f2328}\n"
    ".page{fill:#fff}\n"
    ".head{font-size:20px;font-weight:600}\n"
    ".name{font-size:14px;font-weight:600}\n"
    ".quiet{fill:#59636e}\n"
    ".note{font-style:italic}\n"
    ".time{font-variant-numeric:tabular-nums}\n"
    ".box{fill:#f6f8fa;stroke:#d1d9e0}\n"
    ".life{stroke:#b6bfc9;stroke-dasharray:2 5;stroke-linecap:round}\n"
    ".halo{paint-order:stroke;stroke:#fff;stroke-width:6px;stroke-linejoin:round}\n"
    ".up{stroke:#0969da;fill:#0969da}\n"
    ".down{stroke:#8250df;fill:#8250df}\n"
    ".bad{stroke:#cf222e;fill:#cf222e}\n"
    ".tint{fill:#ffebe9;stroke:none}\n"
    ".rule{stroke:#d1d9e0}\n"
    ".pass{fill:#1a7f37;font-weight:600}\n"
    ".fail{fill:#cf222e;font-weight:600}\n"
    "@media screen and (prefers-color-scheme:dark){\n"
    "text{fill:#f0f6fc}\n"
    ".page{fill:#0d1117}\n"
    ".quiet{fill:#9198a1}\n"
    ".box{fill:#151b23;stroke:#3d444d}\n"
    ".life{stroke:#4b535d}\n"
    ".halo{stroke:#0d1117}\n"
    ".up{stroke:#4493f8;fill:#4493f8}\n"
    ".down{stroke:#ab7df8;fill:#ab7df8}\n"
    ".bad{stroke:#f85149;fill:#f85149}\n"
    ".tint{fill:#25171c}\n"
    ".rule{stroke:#3d444d}\n"
    ".pass{fill:#3fb950}\n"
    ".fail{fill:#f85149}\n"
    "}\n";

static void put_xml(buffer *out, const char *text, size_t columns)
{
    AUTO(buffer) *clean = buffer_new(128);
    if (!clean) {
        out->failed = true;
        return;
    }
    picture_put_clean(clean, text, columns);
    for (size_t i = 0; i < clean->size; i++) {
        char c = (char)clean->data[i];
        const char *entity = c == '&'   ? "&amp;"
                             : c == '<' ? "&lt;"
                             : c == '>' ? "&gt;"
                             : c == '"' ? "&quot;"
                                        : NULL;
        if (entity)
            buffer_put_text(out, entity);
        else
            buffer_put_char(out, c);
    }
}

static void put_label(buffer *out, int x, int y, const char *class, const char *anchor,
                      const char *text, size_t columns)
{
    buffer_put_format(out, "<text x=\"%d\" y=\"%d\" class=\"%s\" text-anchor=\"%s\">", x, y, class,
                      anchor);
    put_xml(out, text, columns);
    buffer_put_text(out, "</text>\n");
}

static void put_description(buffer *out, const picture *p)
{
    buffer_put_text(out, "<title id=\"otrp-title\">OTrP messages between a device and its TAM"
                         "</title>\n<desc id=\"otrp-description\">");
    picture_put_total(out, p);
    buffer_put_text(out, ".");
    for (size_t i = 0; i < p->count && i < DESCRIBED; i++) {
        const struct picture_row *row = &p->rows[i];
        buffer_put_format(out, " %zu. %s: ", i + 1,
                          row->to_tam       ? "Device to TAM"
                          : row->from_proxy ? "Proxy to device"
                                            : "TAM to device");
        put_xml(out, row->title, TITLE_COLUMNS);
        buffer_put_text(out, row->failed ? ", failed." : ".");
    }
    if (p->count > DESCRIBED)
        buffer_put_text(out, " And so on.");
    buffer_put_text(out, "</desc>\n");
}

static void put_actor(buffer *out, int x, const char *name, const char *what)
{
    buffer_put_format(out,
                      "<rect class=\"box\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" "
                      "rx=\"8\"/>\n",
                      x - ACTOR_WIDTH / 2, ACTOR_Y, ACTOR_WIDTH, ACTOR_HEIGHT);
    put_label(out, x, ACTOR_Y + 20, "name", "middle", name, 20);
    put_label(out, x, ACTOR_Y + 36, "quiet", "middle", what, 26);
}

/* "tam.example:8080" of a URL. */
static char *host_of(const char *url)
{
    const char *start = url ? strstr(url, "://") : NULL;
    return start ? strndup(start + 3, strcspn(start + 3, "/?#")) : strdup("server");
}

static void put_actors(buffer *out, const picture *p, int bottom)
{
    const int lives[] = {DEVICE_X, TAM_X, p->has_proxy ? PROXY_X : 0};
    for (size_t i = 0; i < COUNT(lives); i++)
        if (lives[i])
            buffer_put_format(out,
                              "<line class=\"life\" x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\"/>\n",
                              lives[i], ACTOR_Y + ACTOR_HEIGHT, lives[i], bottom);
    AUTO(char) *host = host_of(p->url);
    put_actor(out, DEVICE_X, "Device", "TEE and broker");
    if (p->has_proxy)
        put_actor(out, PROXY_X, "Proxy", "passes on, records");
    put_actor(out, TAM_X, "TAM", host ? host : "");
}

static void put_head(buffer *out, const picture *p)
{
    AUTO(buffer) *total = buffer_new(80);
    if (!total) {
        out->failed = true;
        return;
    }
    if (p->date)
        buffer_put_format(total, "%s \xc2\xb7 ", p->date);
    picture_put_total(total, p);
    if (p->cut)
        buffer_put_text(total, " \xc2\xb7 the transcript is cut off");
    put_label(out, MARGIN, 46, "head", "start", "OTrP exchange", 40);
    put_label(out, MARGIN, 68, "quiet", "start", p->url ? p->url : "", HEADER_COLUMNS);
    put_label(out, MARGIN, 87, "quiet", "start", (const char *)total->data, HEADER_COLUMNS);
}

static void put_arrow(buffer *out, const struct picture_row *row, int y)
{
    int far = row->from_proxy ? PROXY_X : TAM_X;
    int from = row->to_tam ? DEVICE_X : far, to = row->to_tam ? far : DEVICE_X;
    int sign = to > from ? 1 : -1;
    const char *class = row->failed ? "bad" : row->to_tam ? "up" : "down";
    buffer_put_format(out,
                      "<g class=\"%s\"><line x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\" "
                      "stroke-width=\"1.6\"%s/><circle cx=\"%d\" cy=\"%d\" r=\"3.5\" "
                      "stroke=\"none\"/>",
                      class, from, y, to - sign * 10, y,
                      row->lost ? " stroke-dasharray=\"5 5\"" : "", from, y);
    buffer_put_format(out, "<path stroke-linejoin=\"round\" d=\"M%d %dl%d -5v10z\"/></g>\n",
                      to - sign * 2, y, -sign * 10);
}

/* A ring where an arrow goes through the proxy. */
static void put_passage(buffer *out, const picture *p, const struct picture_row *row, int y)
{
    if (p->has_proxy && !row->from_proxy)
        buffer_put_format(out,
                          "<circle class=\"%s\" cx=\"%d\" cy=\"%d\" r=\"4\" stroke-width=\"1.6\" "
                          "style=\"fill:none\"/>\n",
                          row->failed   ? "bad"
                          : row->to_tam ? "up"
                                        : "down",
                          PROXY_X, y);
}

static const char *fact_class(const char *fact)
{
    if (strcmp(fact, "pass") == 0)
        return "pass";
    return strncmp(fact, "fail", 4) == 0 ? "fail" : NULL;
}

static void put_facts(buffer *out, const struct picture_row *row, bool halo, int x, int y)
{
    buffer_put_format(out, "<text x=\"%d\" y=\"%d\" class=\"quiet%s\" text-anchor=\"middle\">", x,
                      y, halo ? " halo" : "");
    size_t room = FACT_COLUMNS;
    for (size_t i = 0; i < PICTURE_FACTS && row->facts[i] && room > 8; i++) {
        const char *class = fact_class(row->facts[i]);
        if (i)
            buffer_put_text(out, " \xc2\xb7 ");
        if (class)
            buffer_put_format(out, "<tspan class=\"%s\">", class);
        put_xml(out, row->facts[i], room);
        if (class)
            buffer_put_text(out, "</tspan>");
        size_t length = strlen(row->facts[i]) + 3;
        room -= length < room ? length : room;
    }
    buffer_put_text(out, "</text>\n");
}

static bool has_two_lines(const struct picture_row *row)
{
    return row->note && row->facts[0];
}

static int height_of(const struct picture_row *row)
{
    return ROW_HEIGHT + (has_two_lines(row) ? NOTE_HEIGHT : 0);
}

/* Behind everything else: what failed, and where a session ends and another begins. */
static void put_ground(buffer *out, const picture *p)
{
    int y = FIRST_ROW_Y;
    for (size_t i = 0; i < p->count; y += height_of(&p->rows[i++])) {
        if (p->rows[i].failed)
            buffer_put_format(out,
                              "<rect class=\"tint\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" "
                              "rx=\"8\"/>\n",
                              MARGIN - 12, y - 3, WIDTH - 2 * MARGIN + 24,
                              height_of(&p->rows[i]) - 6);
        else if (i && p->rows[i].begins)
            buffer_put_format(out,
                              "<line class=\"rule\" x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\"/>\n",
                              MARGIN, y - 6, WIDTH - MARGIN, y - 6);
    }
}

static void put_tooltip(buffer *out, const char *text)
{
    buffer_put_text(out, "<title>");
    while (text && *text) {
        AUTO(char) *line = strndup(text, strcspn(text, "\n"));
        put_xml(out, line ? line : "", 300);
        text += strcspn(text, "\n");
        if (*text == '\n') {
            buffer_put_char(out, '\n');
            text++;
        }
    }
    buffer_put_text(out, "</title>\n");
}

static void put_row(buffer *out, const picture *p, const struct picture_row *row, int y)
{
    int x = (DEVICE_X + (row->from_proxy ? PROXY_X : TAM_X)) / 2, arrow = y + 26;
    bool halo = p->has_proxy && !row->failed;
    buffer_put_text(out, "<g>");
    put_tooltip(out, row->whole);
    put_arrow(out, row, arrow);
    put_passage(out, p, row, arrow);
    put_label(out, x, y + 17, halo ? "name halo" : "name", "middle", row->title,
              row->from_proxy ? TITLE_COLUMNS / 2 : TITLE_COLUMNS);
    if (row->facts[0])
        put_facts(out, row, halo, x, arrow + 18);
    if (row->note)
        put_label(out, row->from_proxy ? (DEVICE_X + TAM_X) / 2 : x,
                  arrow + 18 + (has_two_lines(row) ? NOTE_HEIGHT : 0),
                  halo ? "quiet note halo" : "quiet note", "middle", row->note, FACT_COLUMNS);
    AUTO(buffer) *time = buffer_new(32);
    if (time && !isnan(row->at_ms)) {
        buffer_put_format(time, "%+.3f s", row->at_ms / 1000);
        put_label(out, DEVICE_X - 26, arrow + 4, "quiet time", "end", (const char *)time->data, 20);
    }
    if (row->peer)
        put_label(out, DEVICE_X - 26, arrow + 20, "quiet", "end", row->peer, 22);
    buffer_put_text(out, "</g>\n");
}

buffer *picture_svg(const picture *p)
{
    int bottom = FIRST_ROW_Y;
    for (size_t i = 0; i < p->count; i++)
        bottom += height_of(&p->rows[i]);
    AUTO(buffer) *out = buffer_new(8192);
    if (!out)
        return NULL;
    buffer_put_format(out,
                      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
                      "viewBox=\"0 0 %d %d\" role=\"img\" "
                      "aria-labelledby=\"otrp-title otrp-description\">\n",
                      WIDTH, bottom + MARGIN, WIDTH, bottom + MARGIN);
    put_description(out, p);
    buffer_put_format(out, "<style>\n%s</style>\n", style);
    buffer_put_text(out, "<rect class=\"page\" width=\"100%\" height=\"100%\"/>\n");
    put_head(out, p);
    put_ground(out, p);
    put_actors(out, p, bottom + 8);
    for (size_t i = 0, y = FIRST_ROW_Y; i < p->count; y += (size_t)height_of(&p->rows[i++]))
        put_row(out, p, &p->rows[i], (int)y);
    buffer_put_text(out, "</svg>\n");
    return out->failed ? NULL : TAKE(out);
}
