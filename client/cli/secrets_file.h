/* The file with the secrets that providers' keys are derived under: --secrets FILE, else
 * $HOLDFAST_SECRETS. One secret a line, "ID HEX", the first for new records; empty lines and lines
 * that begin with '#' count for nothing. A file that others may read is refused: whoever reads it
 * can make up keys. What was read is overwritten as soon as the client has its copy. */
#ifndef CLIENT_CLI_SECRETS_FILE_H
#define CLIENT_CLI_SECRETS_FILE_H

#include "base/slice.h"
#include "client/cli/cli.h"

enum {
    SECRETS_FILE_BYTES_MAX = 16 * 1024,
    SECRETS_FILE_ITEMS_MAX = 16,
    SECRETS_FILE_KEY_BYTES_MAX = 256,
};

struct secrets_file {
    size_t count;                            /**< secrets */
    hf_secret items[SECRETS_FILE_ITEMS_MAX]; /**< they point into `text` */
    char text[SECRETS_FILE_BYTES_MAX + 1];   /**< ids, and keys as bytes */
};

/** Read a file. \param path borrowed. \param file Out; secrets_file_close() it, also on failure.
 * \return CLI_OK, or CLI_USAGE after a sentence that names the file, and the line. */
HF_MUST_USE
int secrets_file_read(const char *path, struct secrets_file *file);

/** Overwrite it. */
void secrets_file_close(struct secrets_file *file);

/** As cli_open(), with the secrets of `path`; NULL: of $HOLDFAST_SECRETS, and if that is not set,
 * CLI_USAGE after a sentence. \param ttl_ms as cli_open()'s. \param timeout_ms likewise.
 * \param lost_cb likewise. */
HF_MUST_USE
int secrets_open(struct cli *cli, const char *path, uint64_t ttl_ms, uint64_t timeout_ms,
                 void (*lost_cb)(hf_client *client, const hf_loss *loss, void *data));

/** The key derived for a step of a record, as hf_derive(); "" where no key was ever derived, or the
 * secret is not given here. \param out  Out. \return CLI_OK, or an exit code after a sentence. */
HF_MUST_USE
int secrets_derive_for(const struct cli *cli, struct slice secret_id, struct slice key,
                       const char *step, char out[HF_DERIVED_BYTES]);

#endif
