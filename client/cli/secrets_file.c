#include "client/cli/secrets_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "protocol/limits.h"

static int refuse(const char *path, const char *why)
{
    return cli_fail(CLI_USAGE, "the secrets \"%s\" are not used: %s", path, why);
}

/* Nobody but its owner may read it; the owner is us, or root, who can read everything anyway. */
static int check_file(const char *path, int fd)
{
    struct stat info;
    if (fstat(fd, &info) != 0) return refuse(path, text_of_errno(errno));
    if (!S_ISREG(info.st_mode)) return refuse(path, "it is no plain file; name one");
    if (info.st_uid != geteuid() && info.st_uid != 0) {
        return refuse(path, "another user owns it, and could change it; use a file of your own");
    }
    if ((info.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        return refuse(path, "others may use it; take that away with `chmod 600`, and if anybody "
                            "may have read it, make a new secret");
    }
    if (info.st_size > SECRETS_FILE_BYTES_MAX) {
        return refuse(path, "it has more than 16,384 bytes; name the right file");
    }
    return CLI_OK;
}

static int read_text(const char *path, struct secrets_file *file)
{
    size_t size = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return refuse(path, text_of_errno(errno));
    int rv = check_file(path, fd);
    while (rv == CLI_OK && size < SECRETS_FILE_BYTES_MAX) {
        ssize_t got = read(fd, file->text + size, SECRETS_FILE_BYTES_MAX - size);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) rv = refuse(path, text_of_errno(errno));
        if (got <= 0) break;
        size += (size_t)got;
    }
    (void)close(fd);
    if (rv == CLI_OK && memchr(file->text, '\0', size) != NULL) {
        rv = refuse(path, "it is no text; name the right file");
    }
    file->text[size] = '\0';
    return rv;
}

static int digit_of(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* Hexadecimal digits to bytes, in place. \return the bytes, 0 = they are none. */
static size_t to_bytes(char *hex)
{
    size_t size = strlen(hex);
    if (size % 2 != 0 || size / 2 > SECRETS_FILE_KEY_BYTES_MAX) return 0;
    for (size_t i = 0; i < size / 2; i++) {
        int high = digit_of(hex[2 * i]);
        int low = digit_of(hex[2 * i + 1]);
        if (high < 0 || low < 0) return 0;
        hex[i] = (char)(uint8_t)(high << 4 | low);
    }
    return size / 2;
}

/* One line, NUL-terminated. \return false: it is no secret. */
static bool take_line(char *line, struct secrets_file *file)
{
    static const char blanks[] = " \t\r";
    char *rest = NULL;
    char *id = strtok_r(line, blanks, &rest);
    if (id == NULL || id[0] == '#') return true;
    char *hex = strtok_r(NULL, blanks, &rest);
    char *more = hex != NULL ? strtok_r(NULL, blanks, &rest) : NULL;
    if (hex == NULL || more != NULL) return false;
    size_t bytes = to_bytes(hex);
    if (bytes < 16 || strlen(id) > 64 || file->count == SECRETS_FILE_ITEMS_MAX) return false;
    for (size_t i = 0; i < file->count; i++) {
        if (strcmp(file->items[i].id, id) == 0) return false;
    }
    file->items[file->count++] = (hf_secret){.id = id, .key = hex, .key_bytes = bytes};
    return true;
}

int secrets_file_read(const char *path, struct secrets_file *file)
{
    unsigned number = 0;
    *file = (struct secrets_file){.count = 0};
    int rv = read_text(path, file);
    if (rv != CLI_OK) return rv;
    for (char *line = file->text, *end; line != NULL; line = end) {
        end = strchr(line, '\n');
        if (end != NULL) *end++ = '\0';
        number += 1;
        if (take_line(line, file)) continue;
        return cli_fail(CLI_USAGE, /* it is not quoted: it may be secret */
                        "the secrets \"%s\" are not used: line %u is not \"ID HEX\", an id of its "
                        "own of at most 64 bytes and 32 to 512 hexadecimal digits (at most %d "
                        "secrets)",
                        path, number, SECRETS_FILE_ITEMS_MAX);
    }
    return file->count > 0 ? CLI_OK : refuse(path, "there is none in it; put \"ID HEX\" on a line");
}

void secrets_file_close(struct secrets_file *file)
{
    wipe(file, sizeof *file);
}

int secrets_open(struct cli *cli, const char *path, uint64_t ttl_ms, uint64_t timeout_ms,
                 void (*lost_cb)(hf_client *client, const hf_loss *loss, void *data))
{
    static struct secrets_file file; /* too large for a small stack */
    if (path == NULL) path = getenv("HOLDFAST_SECRETS");
    if (path == NULL || path[0] == '\0') {
        return cli_fail(CLI_USAGE, "there is no secret to derive a key under; name the file with "
                                   "--secrets FILE, or in HOLDFAST_SECRETS");
    }
    int rv = secrets_file_read(path, &file);
    cli->secrets = &file;
    if (rv == CLI_OK) rv = cli_open(cli, ttl_ms, timeout_ms, lost_cb);
    cli->secrets = NULL;
    secrets_file_close(&file);
    return rv;
}

int secrets_derive_for(const struct cli *cli, struct slice secret_id, struct slice key,
                       const char *step, char out[HF_DERIVED_BYTES])
{
    char id[SECRET_ID_BYTES_MAX + 1] = "";
    char name[NAME_BYTES_MAX + 1] = "";
    HF_ASSERT(secret_id.size < sizeof id && key.size < sizeof name); /* the decoder's promise */
    if (secret_id.size > 0) memcpy(id, secret_id.data, secret_id.size);
    if (key.size > 0) memcpy(name, key.data, key.size);
    out[0] = '\0';
    int status = hf_derive(cli->client, id, name, step, out);
    if (status == HF_OK || status == HF_ENOKEY) return CLI_OK;
    return cli_fail_status(cli, status, "derive a key");
}
