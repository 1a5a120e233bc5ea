/* What verbs print (client/cli/output.h). A table gathers its rows and prints them when it is full
 * or closed; JSON is written as it comes. Failure modes: none here: main() looks whether standard
 * output took everything; without memory for a table the process ends. */
#include "client/cli/output.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "base/status.h"
#include "protocol/scan.h"

enum { TABLE_BYTES_MAX = 8 * 1024 * 1024, CELL_BYTES_MAX = 2048, CELL_TAIL_BYTES = 96 };

/* ------------------------------------------------------------------ tables */

/* Characters of UTF-8; those that take two columns, or none, are not known here. */
static size_t width_of(const char *text, size_t size)
{
    size_t width = 0;
    for (size_t i = 0; i < size; i++) width += ((unsigned char)text[i] & 0xc0) != 0x80;
    return width;
}

static void print_cell(const struct table *t, int column, const char *text)
{
    int pad = (int)(t->widths[column] - width_of(text, strlen(text)));
    const char *gap = column + 1 < t->column_count ? "  " : "";
    if (t->right[column]) {
        printf("%*s%s%s", pad, "", text, gap);
    } else if (gap[0] == '\0') {
        printf("%s", text); /* no blanks at the line's end */
    } else {
        printf("%s%*s%s", text, pad, "", gap);
    }
}

static void print_rows(struct table *t)
{
    const char *text = (const char *)t->text.data;
    for (int i = 0; i < t->cell_count; i++) {
        int column = i % t->column_count;
        print_cell(t, column, text);
        if (column + 1 == t->column_count) (void)putchar('\n');
        text += strlen(text) + 1;
    }
    t->cell_count = 0;
    t->begun = true;
    buffer_clear(&t->text);
}

/* Add a cell; its bytes are trusted by now. */
static void add(struct table *t, const char *text, size_t size)
{
    int column = t->cell_count % t->column_count;
    if (column == 0 && t->cell_count >= TABLE_ROWS_MAX * t->column_count) print_rows(t);
    if (buffer_append(&t->text, text, size) != HF_OK || buffer_append(&t->text, "", 1) != HF_OK) {
        HF_UNREACHABLE(); /* 1,000 rows of 12 cells stay below the buffer's maximum, or no memory */
    }
    size_t width = width_of(text, size);
    if (width > t->widths[column]) t->widths[column] = width;
    t->cell_count += 1;
}

void table_open(struct table *t, const char *const *headings, int count)
{
    HF_ASSERT(count >= 1);
    HF_ASSERT(count <= TABLE_COLUMNS_MAX);
    *t = (struct table){.column_count = count};
    buffer_init(&t->text, TABLE_BYTES_MAX);
    for (int i = 0; i < count; i++) {
        t->right[i] = headings[i][0] == '>';
        const char *heading = headings[i] + (t->right[i] ? 1 : 0);
        add(t, heading, strlen(heading));
    }
}

/* Bytes that a terminal could take for an order: C0, DEL, C1 (also as UTF-8), and what is no UTF-8.
 */
static bool is_shown_as_is(struct slice text, size_t i, bool is_text)
{
    uint8_t byte = text.data[i];
    if (byte < 0x80) return byte >= 0x20 && byte != 0x7f;
    if (!is_text) return false;
    bool leads_c1 = byte == 0xc2 && i + 1 < text.size && text.data[i + 1] < 0xa0;
    bool ends_c1 = byte < 0xa0 && i > 0 && text.data[i - 1] == 0xc2;
    return !leads_c1 && !ends_c1;
}

/* \param shown  CELL_BYTES_MAX. \return how many of them are used. */
static size_t make_safe(struct slice text, char *shown)
{
    size_t size = 0;
    size_t i = 0;
    const bool is_text = scan_is_text(text);
    for (; i < text.size; i++) {
        bool inside = is_text && (text.data[i] & 0xc0) == 0x80; /* of a character begun */
        if (size + CELL_TAIL_BYTES >= CELL_BYTES_MAX && !inside) break;
        if (is_shown_as_is(text, i, is_text)) {
            shown[size++] = (char)text.data[i];
        } else {
            size += (size_t)snprintf(shown + size, 5, "\\x%02x", text.data[i]);
        }
    }
    if (i < text.size) {
        size += (size_t)snprintf(shown + size, CELL_BYTES_MAX - size,
                                 " ... (%zu bytes more; --json shows them)", text.size - i);
    }
    if (size == 0) shown[size++] = '-';
    return size;
}

void table_text(struct table *t, struct slice text)
{
    char shown[CELL_BYTES_MAX];
    size_t size = make_safe(text, shown);
    add(t, shown, size);
}

void field_text(struct table *t, const char *name, struct slice value)
{
    if (value.size == 0) return;
    table_cell(t, "%s", name);
    table_text(t, value);
}

void field_number(struct table *t, const char *name, uint64_t value)
{
    table_cell(t, "%s", name);
    table_cell(t, "%" PRIu64, value);
}

void text_print(struct slice text)
{
    char shown[CELL_BYTES_MAX];
    size_t size = make_safe(text, shown);
    printf("%.*s", (int)size, shown);
}

void table_cell(struct table *t, const char *format, ...)
{
    char text[CELL_BYTES_MAX];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    HF_ASSERT(size >= 0);
    table_text(t, slice_make(text, (size_t)size < sizeof text ? (size_t)size : sizeof text - 1));
}

void table_close(struct table *t)
{
    print_rows(t);
    buffer_close(&t->text);
}

const char *text_of_ms(uint64_t ms, char out[24])
{
    uint64_t s = ms / 1000;
    int size;
    if (ms < 1000) {
        size = snprintf(out, 24, "%" PRIu64 "ms", ms);
    } else if (s < 60) {
        size = snprintf(out, 24, "%" PRIu64 ".%" PRIu64 "s", s, ms % 1000 / 100);
    } else if (s < 3600) {
        size = snprintf(out, 24, "%" PRIu64 "m%02" PRIu64 "s", s / 60, s % 60);
    } else if (s < 2 * 86400) {
        size = snprintf(out, 24, "%" PRIu64 "h%02" PRIu64 "m", s / 3600, s / 60 % 60);
    } else {
        size = snprintf(out, 24, "%" PRIu64 "d", s / 86400);
    }
    HF_ASSERT(size > 0 && size < 24);
    return out;
}

const char *text_of_wall_ms(uint64_t ms, char out[24])
{
    struct tm utc;
    time_t seconds = (time_t)(ms / 1000);
    if (gmtime_r(&seconds, &utc) == NULL || strftime(out, 24, "%Y-%m-%d %H:%M:%SZ", &utc) == 0) {
        (void)snprintf(out, 24, "?");
    }
    return out;
}

/* ------------------------------------------------------------------ JSON */

static void print_string(struct slice text)
{
    (void)putchar('"');
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        if (c == '"' || c == '\\') {
            printf("\\%c", c);
        } else if (c < 0x20) {
            printf("\\u%04x", c);
        } else {
            (void)putchar(c);
        }
    }
    (void)putchar('"');
}

static void print_base64(struct slice bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < bytes.size; i += 3) {
        size_t left = bytes.size - i;
        unsigned group = (unsigned)bytes.data[i] << 16;
        if (left > 1) group |= (unsigned)bytes.data[i + 1] << 8;
        if (left > 2) group |= bytes.data[i + 2];
        (void)putchar(digits[group >> 18]);
        (void)putchar(digits[group >> 12 & 63]);
        (void)putchar(left > 1 ? digits[group >> 6 & 63] : '=');
        (void)putchar(left > 2 ? digits[group & 63] : '=');
    }
}

/* Begin a member: the comma before it and its key. */
static void member(struct json *j, const char *key)
{
    if (j->depth > 0) {
        if (j->comma[j->depth - 1]) printf(", ");
        j->comma[j->depth - 1] = true;
    }
    if (key != NULL) {
        print_string(slice_of(key));
        printf(": ");
    }
}

static void open_level(struct json *j, const char *key, char opening, char closing)
{
    HF_ASSERT(j->depth < JSON_DEPTH_MAX);
    member(j, key);
    (void)putchar(opening);
    j->comma[j->depth] = false;
    j->close[j->depth] = closing;
    j->depth += 1;
}

void json_object(struct json *j, const char *key)
{
    open_level(j, key, '{', '}');
}

void json_array(struct json *j, const char *key)
{
    open_level(j, key, '[', ']');
}

void json_end(struct json *j)
{
    HF_ASSERT(j->depth > 0);
    j->depth -= 1;
    (void)putchar(j->close[j->depth]);
    if (j->depth == 0) (void)putchar('\n');
}

void json_number(struct json *j, const char *key, uint64_t value)
{
    member(j, key);
    printf("%" PRIu64, value);
}

void json_token(struct json *j, const char *key, uint64_t value)
{
    member(j, key);
    printf("\"%" PRIu64 "\"", value);
}

void json_hex(struct json *j, const char *key, struct slice bytes)
{
    static const char digits[] = "0123456789abcdef";
    char text[2 * HEX_BYTES_MAX];
    HF_ASSERT(bytes.size <= HEX_BYTES_MAX);
    for (size_t i = 0; i < bytes.size; i++) {
        text[2 * i] = digits[bytes.data[i] >> 4];
        text[2 * i + 1] = digits[bytes.data[i] & 15];
    }
    json_text(j, key, slice_make(text, 2 * bytes.size));
}

void json_bool(struct json *j, const char *key, bool value)
{
    member(j, key);
    printf("%s", value ? "true" : "false");
}

void json_null(struct json *j, const char *key)
{
    member(j, key);
    printf("null");
}

void json_text(struct json *j, const char *key, struct slice text)
{
    member(j, key);
    if (scan_is_text(text)) {
        print_string(text);
        return;
    }
    printf("{\"base64\": \"");
    print_base64(text);
    printf("\"}");
}

/* ------------------------------------------------------------------ lists */

void list_begin(bool json, struct json *j, const char *key)
{
    if (!json || j->depth > 0) return;
    json_object(j, NULL);
    json_array(j, key);
}

void list_close(bool json, struct table *t, struct json *j, bool whole)
{
    if (json) {
        while (whole && j->depth > 0) json_end(j);
        if (j->depth > 0) (void)putchar('\n');
    } else if (whole || t->begun || t->cell_count > t->column_count) {
        print_rows(t);
    }
    buffer_close(&t->text);
}
