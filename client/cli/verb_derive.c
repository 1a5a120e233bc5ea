/* derive: the key under which a step of a record is, or was, sent to an outside provider; for
 * reconciling with it, and for scripts that send. The secret's id is the record's own, so that the
 * answer is the same at every attempt; the secret never leaves this machine. */
#include <stdio.h>
#include <string.h>

#include "client/cli/args.h"
#include "client/cli/output.h"
#include "client/cli/secrets_file.h"
#include "client/cli/words.h"

static void print(const struct cli *cli, const char *key, const char *step, const char *id,
                  const char *derived)
{
    struct json j = {.depth = 0};
    if (!cli->json) {
        printf("%s\n", derived);
        return;
    }
    json_object(&j, NULL);
    json_text(&j, "key", slice_of(key));
    json_text(&j, "step", slice_of(step));
    json_text(&j, "secret_id", slice_of(id));
    json_text(&j, "derived_key", slice_of(derived));
    json_end(&j);
}

static int derive(struct cli *cli, const char *key, const char *step, const char *id)
{
    char derived[HF_DERIVED_BYTES];
    int status = hf_derive(cli->client, id, key, step, derived);
    if (status == HF_ENOKEY && id[0] == '\0') {
        return cli_fail(CLI_ABSENT,
                        "\"%s\" was begun without a secret, so no key was derived for it", key);
    }
    if (status == HF_ENOKEY) {
        return cli_fail(CLI_SYSTEM,
                        "\"%s\" was begun under the secret \"%s\", which is not among those given "
                        "here; name the file that holds it, and send nothing without it",
                        key, id);
    }
    if (status != HF_OK) return cli_fail_status(cli, status, "derive the key");
    print(cli, key, step, id, derived);
    return CLI_OK;
}

/* The id is copied: the record goes with its arena. */
static int find_id(struct cli *cli, const char *key, char id[SECRET_ID_BYTES_MAX + 1])
{
    struct msg_record_get request = {.key = slice_of(key)};
    struct msg_record_reply record;
    struct arena arena;
    if (arena_init(&arena, RAW_ARENA_BYTES) != HF_OK) {
        return cli_fail(CLI_SYSTEM, "there is no memory for an answer; free some on this machine");
    }
    int status = raw_call(cli->client, OP_CODE_RECORD_GET, &request, &arena, &record);
    if (status == HF_OK) {
        if (record.secret_id.size > 0) memcpy(id, record.secret_id.data, record.secret_id.size);
        id[record.secret_id.size] = '\0';
    }
    arena_close(&arena);
    if (status == HF_OK) return CLI_OK;
    if (status != HF_ENOTFOUND) return cli_fail_status(cli, status, "look at the record");
    return cli_fail(CLI_ABSENT,
                    "no record is stored under \"%s\", so its secret is not known; check the "
                    "spelling, or name the secret with --secret ID",
                    key);
}

static int run_derive(struct cli *cli, const struct verb *verb, int argc, char **argv)
{
    const char *file = NULL;
    const char *given = NULL;
    char id[SECRET_ID_BYTES_MAX + 1] = "";
    const struct arg_option options[] = {
        {.name = "--secrets", .text = &file},
        {.name = "--secret", .text = &given},
    };
    struct args args;
    int rv = args_parse(cli, verb, argc, argv, options, HF_ARRAY_COUNT(options), &args);
    if (rv != CLI_OK) return rv;
    if (args.help) return args_help(verb);
    rv = args_expect(verb, &args, 2, 2, false);
    if (rv == CLI_OK) rv = name_check(verb, args.words[0], 1);
    if (rv == CLI_OK) rv = name_check(verb, args.words[1], 1);
    if (rv == CLI_OK) rv = secrets_open(cli, file, 0, READING_TIMEOUT_MS, NULL);
    if (rv == CLI_OK && given == NULL) rv = find_id(cli, args.words[0], id);
    if (rv != CLI_OK) return rv;
    return derive(cli, args.words[0], args.words[1], given != NULL ? given : id);
}

const struct verb verb_derive = {
    .name = "derive",
    .synopsis = "KEY STEP [--secret ID] [--secrets FILE]",
    .summary = "the key under which a step of KEY is sent to an outside provider",
    .help =
        "  STEP             which effect (\"charge\"): one key for each\n"
        "  --secrets FILE   secrets, one a line: ID HEX (32 to 512 digits), the first for new\n"
        "                   records; others must not be able to read it (chmod 600); else\n"
        "                   $HOLDFAST_SECRETS\n"
        "  --secret ID      take this one and ask no server; else the one that KEY's record\n"
        "                   names, which stays the same over all attempts\n"
        "Prints 64 hexadecimal digits: HMAC-SHA256 over KEY and STEP. Give them to the\n"
        "provider as its idempotency key. With --json: {key, step, secret_id, derived_key}.\n"
        "Exit code 66: no record under KEY, or it was begun without a secret; 71: the secret is\n"
        "not in FILE: send nothing.\n",
    .run = run_derive,
};
