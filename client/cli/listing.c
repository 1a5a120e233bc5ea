#include "client/cli/listing.h"

#include <stdio.h>

struct printer {
    const struct listing *listing;
    bool json;
    struct json document;
    struct table table;
};

static int print_line(const void *line, void *data)
{
    struct printer *p = data;
    const struct listing *listing = p->listing;
    if (listing->shows != NULL && !listing->shows(line)) return 0;
    list_begin(p->json, &p->document, listing->name);
    if (p->json) {
        listing->print_json(&p->document, line);
    } else {
        listing->print(&p->table, line);
    }
    return 0;
}

int listing_run(const struct listing *listing, struct cli *cli, const void *request,
                struct arena *arena)
{
    char what[64];
    struct printer p = {.listing = listing, .json = cli->json};
    table_open(&p.table, listing->headings, listing->heading_count);
    int rv = raw_list(cli->client, listing->op, request, arena, print_line, &p);
    if (rv == HF_OK) list_begin(p.json, &p.document, listing->name); /* an empty list is one, too */
    list_close(p.json, &p.table, &p.document, rv == HF_OK);
    (void)snprintf(what, sizeof what, "list the %s", listing->name);
    return rv == HF_OK ? CLI_OK : cli_fail_status(cli, rv, what);
}

void listing_show(const struct listing *listing, const struct cli *cli,
                  const struct codec_list *lines, size_t line_bytes)
{
    struct printer p = {.listing = listing, .json = cli->json};
    const uint8_t *line = lines->items;
    table_open(&p.table, listing->headings, listing->heading_count);
    list_begin(p.json, &p.document, listing->name);
    for (uint32_t i = 0; i < lines->count; i++, line += line_bytes) (void)print_line(line, &p);
    list_close(p.json, &p.table, &p.document, true);
}
