/* What verbs print: aligned tables for people, one JSON document for programs. Text from servers
 * comes from strangers: control bytes are shown as \xNN, so that no name can drive a terminal. */
#ifndef CLIENT_CLI_OUTPUT_H
#define CLIENT_CLI_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

enum { TABLE_COLUMNS_MAX = 12, TABLE_ROWS_MAX = 1000 };

/** Rows are gathered and printed with every column as wide as its widest cell. */
struct table {
    int column_count;                 /**< columns */
    int cell_count;                   /**< cells of the rows gathered, row after row */
    size_t widths[TABLE_COLUMNS_MAX]; /**< characters of the widest cell so far */
    bool right[TABLE_COLUMNS_MAX];    /**< numbers stand to the right */
    bool begun;                       /**< rows were printed already */
    struct buffer text;               /**< the cells, each ended by a NUL */
};

/** Begin with the headings. A heading that begins with '>' is aligned to the right.
 * \param headings  `count` of them; borrowed during the call. */
void table_open(struct table *t, const char *const *headings, int count);

/** Add a cell: printf's format; control bytes are replaced. A full table is printed first. */
void table_cell(struct table *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** Add a cell of text that came from a server; what is too long for a table is cut, and says so. */
void table_text(struct table *t, struct slice text);

/** A row of a table of two columns, what a field is and its value. An empty text has none. */
void field_text(struct table *t, const char *name, struct slice value);
void field_number(struct table *t, const char *name, uint64_t value);

/** Print text that came from a server outside of a table, as table_text() shows it. */
void text_print(struct slice text);

/** Print what was gathered and free it. */
void table_close(struct table *t);

/** A duration for people: "850ms", "12.3s", "5m10s", "3h20m", "12d". \return `out`. */
const char *text_of_ms(uint64_t ms, char out[24]);

/** A moment for people, in UTC: "2026-01-31 23:59:00Z". \param ms  since 1970. \return `out`. */
const char *text_of_wall_ms(uint64_t ms, char out[24]);

/* ------------------------------------------------------------------ JSON, written as it comes */

enum { JSON_DEPTH_MAX = 8, HEX_BYTES_MAX = 64 };

struct json {
    int depth;                  /**< open objects and arrays */
    bool comma[JSON_DEPTH_MAX]; /**< the level has a member already */
    char close[JSON_DEPTH_MAX]; /**< '}' or ']' */
};

/** Open an object or an array. \param key  NULL in an array and at the top; borrowed. */
void json_object(struct json *j, const char *key);

/** As json_object(). */
void json_array(struct json *j, const char *key);

/** Close the innermost one; at the top, end the line. */
void json_end(struct json *j);

/** A number that stays below 2^53. */
void json_number(struct json *j, const char *key, uint64_t value);

/** A fencing token or an id: a string, as a reader's double is not exact beyond 2^53. */
void json_token(struct json *j, const char *key, uint64_t value);

/** Bytes for comparing, as hexadecimal digits. \param bytes  at most HEX_BYTES_MAX. */
void json_hex(struct json *j, const char *key, struct slice bytes);

/** true or false. */
void json_bool(struct json *j, const char *key, bool value);

/** null. */
void json_null(struct json *j, const char *key);

/** Text of ours, or bytes from a server: text where it is UTF-8, else {"base64": "..."}. */
void json_text(struct json *j, const char *key, struct slice text);

/* ------------------------------------------------------------------ lists of either kind */

/** Something is to be printed, if only that the list is empty: in JSON, open the document with its
 * list `key`, once. */
void list_begin(bool json, struct json *j, const char *key);

/** All is printed, or a page failed (`whole` = false): then a JSON document stays open, and
 * nothing is printed where nothing came, so that no reader takes a failure for an empty list. */
void list_close(bool json, struct table *t, struct json *j, bool whole);

#endif
