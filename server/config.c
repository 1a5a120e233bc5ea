/* See server/config.h. One table names every setting for the flags, the file and the checks. */
#include "server/config.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "raft/driver.h"
#include "server/address.h"
#include "server/rates.h"

enum kind { KIND_TEXT, KIND_U64, KIND_U32, KIND_SWITCH, KIND_LEVEL };

struct setting {
    const char *name; /**< --name, or `name = value` */
    enum kind kind;   /**< what its value is */
    size_t offset;    /**< of its field in struct config */
    size_t bytes;     /**< room of a text */
    uint64_t min;     /**< of a number */
    uint64_t max;     /**< of a number */
};

#define FIELD(member) offsetof(struct config, member), sizeof(((struct config *)0)->member)

static const struct setting settings[] = {
    {"data", KIND_TEXT, FIELD(data), 0, 0},
    {"client", KIND_TEXT, FIELD(client), 0, 0},
    {"peer", KIND_TEXT, FIELD(peer), 0, 0},
    {"cluster", KIND_TEXT, FIELD(cluster_text), 0, 0},
    {"cluster-name", KIND_TEXT, FIELD(cluster_name), 0, 0},
    {"new-cluster", KIND_SWITCH, FIELD(new_cluster), 0, 0},
    {"id", KIND_U64, FIELD(id), 1, INT64_MAX},
    {"election-ms", KIND_U32, FIELD(election_ms), 50, 60000},
    {"segment-mib", KIND_U32, FIELD(segment_mib), 4, 64},
    {"map-gib", KIND_U32, FIELD(map_gib), 1, 16384},
    {"connections", KIND_U32, FIELD(connections_max), 1, 1000000},
    {"rate", KIND_U32, FIELD(rate), 0, RATES_PER_SECOND_MAX},
    {"rate-burst", KIND_U32, FIELD(rate_burst), 0, RATES_PER_SECOND_MAX},
    {"log-level", KIND_LEVEL, FIELD(log_level), 0, 0},
    {"insecure", KIND_SWITCH, FIELD(insecure), 0, 0},
};

enum { SETTING_COUNT = HF_ARRAY_COUNT(settings), LINE_BYTES = 4608 };

struct reading {
    struct config *config;     /**< being filled */
    char *sentence;            /**< what is wrong */
    bool set[SETTING_COUNT];   /**< told by a flag */
    bool filed[SETTING_COUNT]; /**< told by the file */
};

static const char HELP[] =
    "holdfastd " HF_VERSION ", a server for distributed locks and idempotency records\n"
    "\n"
    "usage: holdfastd --data DIR [settings]        run a server; a lone one makes its directory\n"
    "       holdfastd --data DIR --id N --cluster LIST [settings]   run a server of a cluster\n"
    "       holdfastd init --data DIR [settings]   make the directory and exit\n"
    "       holdfastd --help | --version\n"
    "\n"
    "settings, as flags or as lines `name = value` of a file (lines of # are comments)\n"
    "  --config FILE          read settings from FILE; flags win\n"
    "  --data DIR             where log and store lie (mode 0700)\n"
    "  --client HOST:PORT     listen for clients, default 127.0.0.1:7420; port 0 draws one\n"
    "  --id N                 this server's number, default 1\n"
    "  --cluster 1=HOST:PORT,2=HOST:PORT,3=HOST:PORT\n"
    "                         the servers of the cluster, up to 7, and where each listens for the\n"
    "                         others; the same on all of them, at every start\n"
    "  --cluster-name TEXT    tells clusters of the same servers apart; the same on all of them\n"
    "  --peer HOST:PORT       listen for the other servers here instead of at --cluster's address\n"
    "  --new-cluster          the cluster is new: make this server's directory if it is empty\n"
    "  --insecure             bind beyond loopback although nothing is encrypted\n"
    "  --election-ms N        how long a leader may be silent before another one is elected, 50 "
    "to\n"
    "                         60000, default 150; heartbeats come 7 times as often\n"
    "  --segment-mib N        size of a log segment, 4 to 64, default 64\n"
    "  --map-gib N            largest size of the store, 1 to 16384, default 64\n"
    "  --connections N        most client connections at once, default 10000\n"
    "  --rate N               most new requests a second of one client name at one host, above "
    "that\n"
    "                         TOO_BUSY; 0, the default: no limit\n"
    "  --rate-burst N         as many of them at once, default those of a second\n"
    "  --log-level LEVEL      debug, info, warn or error; default info\n"
    "\n"
    "signals: TERM and INT stop it gracefully; it answers what is in flight and flushes\n"
    "exit codes: 0 stopped as asked, 64 wrong settings, 65 the directory is damaged or not this\n"
    "server's, 69 the address cannot be bound, 74 a disk or internal fault, or DIR is in use\n";

const char *config_help(void)
{
    return HELP;
}

static int complain(struct reading *r, const char *format, const char *a, const char *b)
{
    snprintf(r->sentence, CONFIG_SENTENCE_BYTES, format, a, b);
    return HF_EINVAL;
}

/* ------------------------------------------------------------------ values */

static bool parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *value)
{
    uint64_t number = 0;
    if (*text == '\0') return false;
    for (const char *p = text; *p != '\0'; p++) {
        if (*p < '0' || *p > '9') return false;
        unsigned digit = (unsigned)(*p - '0');
        if (number > (UINT64_MAX - digit) / 10) return false;
        number = number * 10 + digit;
    }
    *value = number;
    return number >= min && number <= max;
}

static bool parse_level(const char *text, enum log_level *level)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    for (unsigned i = 0; i < HF_ARRAY_COUNT(names); i++) {
        if (strcmp(text, names[i]) != 0) continue;
        *level = (enum log_level)i;
        return true;
    }
    return false;
}

static int set_value(struct reading *r, const struct setting *s, const char *value)
{
    void *field = (char *)r->config + s->offset;
    uint64_t number = 0;
    switch (s->kind) {
    case KIND_TEXT:
        if (*value == '\0') return complain(r, "--%s must not be empty%s", s->name, "");
        if (strlen(value) >= s->bytes) return complain(r, "--%s is too long%s", s->name, "");
        snprintf(field, s->bytes, "%s", value);
        return HF_OK;
    case KIND_U64:
    case KIND_U32:
        if (!parse_number(value, s->min, s->max, &number)) {
            char range[128];
            snprintf(range, sizeof range, "%llu to %llu, not \"%.40s\"", (unsigned long long)s->min,
                     (unsigned long long)s->max, value);
            return complain(r, "--%s must be a whole number from %s", s->name, range);
        }
        if (s->kind == KIND_U64)
            *(uint64_t *)field = number;
        else
            *(uint32_t *)field = (uint32_t)number;
        return HF_OK;
    case KIND_LEVEL:
        if (parse_level(value, field)) return HF_OK;
        return complain(r, "--log-level is debug, info, warn or error, not \"%s\"%s", value, "");
    case KIND_SWITCH:
        *(bool *)field = strcmp(value, "yes") == 0;
        if (*(bool *)field || strcmp(value, "no") == 0) return HF_OK;
        return complain(r, "%s is yes or no, not \"%s\"", s->name, value);
    }
    HF_UNREACHABLE();
}

static size_t find_setting(const char *name, size_t bytes)
{
    size_t i = 0;
    while (i < SETTING_COUNT &&
           (strlen(settings[i].name) != bytes || memcmp(settings[i].name, name, bytes) != 0))
        i++;
    return i;
}

/* ------------------------------------------------------------------ the file */

static char *trim(char *text)
{
    while (*text == ' ' || *text == '\t') text++;
    size_t size = strlen(text);
    while (size > 0 && strchr(" \t\r\n", text[size - 1]) != NULL) text[--size] = '\0';
    return text;
}

static int read_line(struct reading *r, char *line, unsigned number)
{
    char where[32];
    snprintf(where, sizeof where, "line %u", number);
    char *text = trim(line);
    if (*text == '\0' || *text == '#') return HF_OK;
    char *equals = strchr(text, '=');
    if (equals == NULL)
        return complain(r, "%s of the configuration file is not `name = value`%s", where, "");
    *equals = '\0';
    char *name = trim(text);
    size_t i = find_setting(name, strlen(name));
    if (i == SETTING_COUNT)
        return complain(r, "%s of the configuration file: there is no setting \"%s\"", where, name);
    if (r->filed[i]) return complain(r, "%s of the configuration file tells %s again", where, name);
    r->filed[i] = true;
    if (r->set[i]) return HF_OK; /* the flag wins */
    int rv = set_value(r, &settings[i], trim(equals + 1));
    if (rv == HF_OK) return HF_OK;
    char problem[CONFIG_SENTENCE_BYTES - 64]; /* the rest for where it stands */
    snprintf(problem, sizeof problem, "%s", r->sentence);
    return complain(r, "%s of the configuration file: %s", where, problem);
}

static int read_file(struct reading *r, const char *path)
{
    FILE *file = fopen(path, "r");
    if (file == NULL) return complain(r, "cannot read the configuration file %s%s", path, "");
    char line[LINE_BYTES];
    int rv = HF_OK;
    for (unsigned number = 1; rv == HF_OK && fgets(line, sizeof line, file) != NULL; number++)
        rv = read_line(r, line, number);
    if (rv == HF_OK && ferror(file) != 0)
        rv = complain(r, "cannot read the configuration file %s%s", path, "");
    fclose(file);
    return rv;
}

/* ------------------------------------------------------------------ the flags */

/* One flag: --name VALUE, --name=VALUE, or --name of a switch. \param at  moves behind it. */
static int read_flag(struct reading *r, int argc, char **argv, int *at, const char **file)
{
    const char *flag = argv[*at];
    if (strncmp(flag, "--", 2) != 0)
        return complain(r, "\"%s\" is not a flag; see holdfastd --help%s", flag, "");
    const char *name = flag + 2;
    const char *equals = strchr(name, '=');
    size_t bytes = equals != NULL ? (size_t)(equals - name) : strlen(name);
    bool is_file = bytes == 6 && memcmp(name, "config", 6) == 0;
    size_t i = find_setting(name, bytes);
    if (!is_file && i == SETTING_COUNT)
        return complain(r, "there is no flag \"%s\"; see holdfastd --help%s", flag, "");
    if (is_file ? *file != NULL : r->set[i]) return complain(r, "%s is given twice%s", flag, "");

    const char *value = equals != NULL ? equals + 1 : NULL;
    bool alone = !is_file && settings[i].kind == KIND_SWITCH;
    if (value == NULL && alone) value = "yes";
    if (value == NULL) {
        if (*at + 1 >= argc) return complain(r, "%s wants a value%s", flag, "");
        value = argv[++*at];
    }
    *at += 1;
    if (is_file) {
        *file = value;
        return HF_OK;
    }
    r->set[i] = true;
    return set_value(r, &settings[i], value);
}

static int check_address(struct reading *r, const char *flag, const char *address)
{
    char host[ADDRESS_TEXT_BYTES];
    uint16_t port = 0;
    if (address_split(address, host, &port) != HF_OK)
        return complain(r, "%s must be a numeric HOST:PORT such as 127.0.0.1:7420, not \"%s\"",
                        flag, address);
    if (!address_is_loopback(host) && !r->config->insecure)
        return complain(r,
                        "%s is not a loopback address and nothing would be encrypted: "
                        "give --insecure if that is what you want%s",
                        address, "");
    return HF_OK;
}

/* What other machines are told, or told to reach: it has to lead here from there. */
static int check_reachable(struct reading *r, const char *flag, const char *address)
{
    char host[ADDRESS_TEXT_BYTES];
    uint16_t port = 0;
    int rv = check_address(r, flag, address);
    if (rv != HF_OK) return rv;
    rv = address_split(address, host, &port);
    if (rv == HF_OK && !address_is_any(host)) return HF_OK;
    return complain(r, "%s %s cannot be reached from elsewhere: name this server's own address",
                    flag, address);
}

/* It is part of what the cluster's id is drawn from, and of people's command lines. */
static int check_name(struct reading *r)
{
    for (const char *p = r->config->cluster_name; *p != '\0'; p++) {
        if (*p < ' ' || *p > '~')
            return complain(r, "--cluster-name must be printable ASCII%s%s", "", "");
    }
    return HF_OK;
}

/* Where this server listens for the others. */
static int check_peer(struct reading *r, const struct cluster_member *self)
{
    struct config *c = r->config;
    char host[ADDRESS_TEXT_BYTES];
    uint16_t port = 0;
    if (c->peer[0] == '\0') snprintf(c->peer, sizeof c->peer, "%s", self->address);
    int rv = check_address(r, "--peer", c->peer);
    if (rv != HF_OK) return rv;
    rv = address_split(c->peer, host, &port);
    if (rv == HF_OK && port != 0) return HF_OK;
    return complain(r, "--peer %s: the other servers must know the port%s", c->peer, "");
}

static int check_cluster(struct reading *r)
{
    struct config *c = r->config;
    if (c->cluster_text[0] == '\0') {
        const char *stray = c->peer[0] != '\0'           ? "peer"
                            : c->cluster_name[0] != '\0' ? "cluster-name"
                            : c->new_cluster             ? "new-cluster"
                                                         : NULL;
        return stray != NULL ? complain(r, "--%s goes with --cluster%s", stray, "") : HF_OK;
    }
    int rv = cluster_parse(c->cluster_text, &c->cluster, r->sentence);
    if (rv == HF_OK) rv = check_name(r);
    for (uint32_t i = 0; rv == HF_OK && i < c->cluster.count; i++)
        rv = check_reachable(r, "in --cluster,", c->cluster.members[i].address);
    if (rv == HF_OK) rv = check_reachable(r, "--client", c->client); /* told in redirections */
    if (rv != HF_OK) return rv;
    const struct cluster_member *self = cluster_find(&c->cluster, c->id);
    if (c->id == 0)
        return complain(r, "--cluster wants --id N: which of its servers is this one?%s%s", "", "");
    if (self == NULL) {
        char id[24];
        snprintf(id, sizeof id, "%" PRIu64, c->id);
        return complain(r, "--cluster has no server of --id %s: list every server, this one too%s",
                        id, "");
    }
    return check_peer(r, self);
}

static int check(struct reading *r)
{
    if (r->config->data[0] == '\0')
        return complain(r, "--data DIR is missing; see holdfastd --help%s%s", "", "");
    int rv = check_address(r, "--client", r->config->client);
    return rv == HF_OK ? check_cluster(r) : rv;
}

int config_read(int argc, char **argv, struct config *c, char *sentence)
{
    *c = (struct config){
        .client = "127.0.0.1:7420",
        .election_ms = DRIVER_ELECTION_MS_DEFAULT,
        .segment_mib = 64,
        .map_gib = 64,
        .connections_max = 10000,
        .log_level = LOG_INFO,
    };
    struct reading r = {.config = c, .sentence = sentence};
    const char *file = NULL;
    int at = 1;
    for (int i = 1; i < argc; i++) {
        bool help = strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0;
        if (help) c->command = CONFIG_HELP;
        if (strcmp(argv[i], "--version") == 0) c->command = CONFIG_VERSION;
    }
    if (c->command != CONFIG_RUN) return HF_OK;
    if (argc > 1 && strcmp(argv[1], "init") == 0) {
        c->command = CONFIG_INIT;
        at = 2;
    }
    int rv = HF_OK;
    while (rv == HF_OK && at < argc) rv = read_flag(&r, argc, argv, &at, &file);
    if (rv == HF_OK && file != NULL) rv = read_file(&r, file);
    return rv == HF_OK ? check(&r) : rv;
}
