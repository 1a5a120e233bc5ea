/* export: every record under a prefix with all that is known of it, tombstones too, one JSON object
 * a line in the order of the keys, for reconciling with somebody else's books. It can be gone on
 * with behind any key that it printed; a failure says which was the last. */
#include <stdio.h>
#include <string.h>

#include "client/cli/args.h"
#include "client/cli/record_json.h"
#include "client/cli/secrets_file.h"
#include "client/cli/words.h"

enum { PAGE_RECORDS = 500, RECORD_ARENA_BYTES = 64 * 1024 };

struct exporter {
    const struct cli *cli;         /* borrowed */
    const char *step;              /* derive a key for it; NULL = none */
    struct arena arena;            /* of one record's lists */
    char last[NAME_BYTES_MAX + 1]; /* key printed last, "" = none */
    int rv;                        /* CLI_OK, or why it stopped */
};

static int print(struct exporter *e, const struct msg_record_reply *record)
{
    char derived[HF_DERIVED_BYTES];
    if (e->step != NULL) {
        int rv = secrets_derive_for(e->cli, record->secret_id, record->key, e->step, derived);
        if (rv != CLI_OK) return rv;
    }
    record_json(record, e->step != NULL ? derived : NULL);
    if (!ferror(stdout)) return CLI_OK;
    return cli_fail(CLI_SYSTEM, "standard output did not take everything; make room and repeat");
}

static int print_item(const void *line, void *data)
{
    const struct record_bytes *item = line;
    struct exporter *e = data;
    struct msg_record_reply record;
    arena_reset(&e->arena);
    int status = codec_decode(&msg_record_reply_type, item->record, &e->arena, &record);
    if (status != HF_OK) {
        e->rv = cli_fail_status(e->cli, status == HF_ENOMEM ? status : HF_ECORRUPT,
                                "read an exported record");
        return 1;
    }
    HF_ASSERT(record.key.size <= NAME_BYTES_MAX); /* the decoder's promise */
    memcpy(e->last, record.key.data, record.key.size);
    e->last[record.key.size] = '\0';
    e->rv = print(e, &record);
    return e->rv != CLI_OK;
}

static void tell_where(const struct exporter *e)
{
    char word[SHELL_WORD_BYTES];
    if (e->last[0] == '\0') return;
    cli_warn("the export is not whole; go on behind what was printed with --from %s",
             text_for_shell(e->last, word));
}

static int export_all(struct cli *cli, const struct msg_record_list *request, const char *step,
                      struct arena *arena)
{
    struct exporter e = {.cli = cli, .step = step};
    if (arena_init(&e.arena, RECORD_ARENA_BYTES) != HF_OK) {
        return cli_fail(CLI_SYSTEM, "there is no memory for a record; free some on this machine");
    }
    int status = raw_list(cli->client, OP_CODE_RECORD_EXPORT, request, arena, print_item, &e);
    arena_close(&e.arena);
    if (status != HF_OK) e.rv = cli_fail_status(cli, status, "export the records");
    if (e.rv != CLI_OK) tell_where(&e);
    return e.rv;
}

static int run_export(struct cli *cli, const struct verb *verb, int argc, char **argv)
{
    const char *state = NULL;
    const char *from = "";
    const char *step = NULL;
    const char *secrets = NULL;
    struct msg_record_list request = {.count_max = PAGE_RECORDS};
    const struct arg_option options[] = {
        {.name = "--from", .text = &from},
        {.name = "--state", .text = &state},
        {.name = "--older-than",
         .number = &request.older_than_ms,
         .is_ms = true,
         .max = TIME_MS_MAX},
        {.name = "--derive", .text = &step},
        {.name = "--secrets", .text = &secrets},
    };
    struct args args;
    struct arena arena = {.data = NULL};
    int rv = args_parse(cli, verb, argc, argv, options, HF_ARRAY_COUNT(options), &args);
    if (rv != CLI_OK) return rv;
    if (args.help) return args_help(verb);
    rv = args_expect(verb, &args, 0, 1, false);
    const char *prefix = args.word_count > 0 ? args.words[0] : "";
    if (rv == CLI_OK) rv = name_check(verb, prefix, 0);
    if (rv == CLI_OK) rv = name_check(verb, from, 0);
    if (rv == CLI_OK && step != NULL) rv = name_check(verb, step, 1);
    if (rv == CLI_OK) rv = state_check(state, &request.state);
    if (rv != CLI_OK) return rv;
    request.prefix = slice_of(prefix);
    request.cursor = slice_of(from);
    if (arena_init(&arena, RAW_ARENA_BYTES) != HF_OK) {
        return cli_fail(CLI_SYSTEM, "there is no memory for an answer; free some on this machine");
    }
    rv = step != NULL ? secrets_open(cli, secrets, 0, READING_TIMEOUT_MS, NULL)
                      : cli_open(cli, 0, READING_TIMEOUT_MS, NULL);
    if (rv == CLI_OK) rv = export_all(cli, &request, step, &arena);
    arena_close(&arena);
    return rv;
}

const struct verb verb_export = {
    .name = "export",
    .synopsis = "[PREFIX] [--from KEY] [--state STATE] [--older-than MS]\n"
                "             [--derive STEP [--secrets FILE]]",
    .summary = "records with all that is known of them, as JSON lines",
    .help = "  PREFIX            only keys that begin with it; without it all\n"
            "  --from KEY        go on behind KEY: the last one that an export printed\n"
            "  --state STATE     RUNNING, DONE, FAILED, RETRYABLE, UNKNOWN or TOMBSTONE\n"
            "  --older-than MS   only those whose state has not changed for so long\n"
            "  --derive STEP     add derived_key, under which STEP was sent to a provider (see\n"
            "                    `derive`); \"\" where the secret is not given here\n"
            "  --secrets FILE    where the secrets are; else $HOLDFAST_SECRETS\n"
            "One object a line, in the order of the keys, with the members of `record --json`;\n"
            "tombstones are among them. What waits for a decision, with owner, checkpoint and the\n"
            "provider's key: `export --state UNKNOWN --older-than 1h --derive charge`.\n"
            "Each page is one moment, the whole is not. A failure says what --from goes on with.\n",
    .run = run_export,
};
