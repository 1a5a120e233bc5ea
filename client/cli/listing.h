/* How a verb shows a list from the servers: read to its end, line after line, as one table or one
 * JSON document. A verb says what its lines look like. */
#ifndef CLIENT_CLI_LISTING_H
#define CLIENT_CLI_LISTING_H

#include "client/cli/cli.h"
#include "client/cli/output.h"
#include "client/raw.h"

/** What a verb's list looks like. */
struct listing {
    uint16_t op;                 /**< as raw_list()'s; listing_show() asks for nothing */
    const char *name;            /**< of the list in JSON, and in "list the NAME" */
    const char *const *headings; /**< as table_open()'s */
    int heading_count;           /**< of them */
    void (*print)(struct table *t, const void *line);     /**< one line's cells */
    void (*print_json)(struct json *j, const void *line); /**< one line's object */
    bool (*shows)(const void *line); /**< false: left out; NULL = all are shown */
};

/** Read the list and print it; a failure is told behind what had come.
 * \param request  as raw_list()'s. \param arena  likewise. \return CLI_OK, or the exit code. */
HF_MUST_USE
int listing_run(const struct listing *listing, struct cli *cli, const void *request,
                struct arena *arena);

/** Print lines that came in one answer, as listing_run() does.
 * \param lines  structs of `line_bytes` bytes each. */
void listing_show(const struct listing *listing, const struct cli *cli,
                  const struct codec_list *lines, size_t line_bytes);

#endif
