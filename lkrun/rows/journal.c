/* Opening, locking, reading, adding. The lock belongs to the process (fcntl), so that workers,
 * which inherit the descriptor, neither hold nor release it; it ends with the process, however that
 * ends. */
#include "rows/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rows/digest.h"

#define MAGIC_LENGTH  (sizeof JOURNAL_MAGIC - 1)
#define HOLDER_LENGTH (JOURNAL_RECORDS - MAGIC_LENGTH)
/* This many bytes of the mapped file are released at a time, once they were read. */
#define RELEASED_AT_ONCE ((size_t)16 << 20)

_Static_assert(sizeof(struct journal_record) == 24, "records are laid out alike everywhere");

bool journal_fail(struct journal *journal, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(journal->problem, sizeof journal->problem, format, arguments);
    va_end(arguments);
    return false;
}

static bool fail_errno(struct journal *journal)
{
    return journal_fail(journal, "%s", strerror(errno));
}

/* ---- Who holds it ---- */

/* Copies the text under a key of write_holder's JSON object; false where there is none. */
static bool find_value(const char *block, const char *key, char *text, size_t room)
{
    char wanted[40];
    snprintf(wanted, sizeof wanted, "\"%s\":\"", key);
    const char *at = strstr(block, wanted);
    const char *end = at ? strchr(at + strlen(wanted), '"') : NULL;
    if (!end || end == at + strlen(wanted))
        return false;
    snprintf(text, room, "%.*s", (int)(end - at - (long)strlen(wanted)), at + strlen(wanted));
    return true;
}

static bool refuse_held(struct journal *journal)
{
    char block[HOLDER_LENGTH + 1] = "", host[256] = "an unknown host", pid[24] = "", job[64] = "";
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (pread(journal->fd, block, HOLDER_LENGTH, MAGIC_LENGTH) < 0)
        block[0] = '\0';
    bool known =
        find_value(block, "host", host, sizeof host) && find_value(block, "pid", pid, sizeof pid);
    if (!known) { /* the other run has just begun, and not written who it is */
        bool here = fcntl(journal->fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
        snprintf(pid, sizeof pid, "%d", here ? (int)lock.l_pid : 0);
    }
    bool in_job = find_value(block, "slurm_job", job, sizeof job);
    return journal_fail(journal,
                        "another run has it: host %s, process %s%s%s; wait for its end, or give "
                        "another file with --journal",
                        host, pid, in_job ? ", Slurm job " : "", job);
}

/* Copies the printable characters that need no escaping in JSON. */
static void copy_plain(char *to, size_t room, const char *from)
{
    size_t length = 0;
    for (; from && *from && length + 1 < room; from++)
        if (*from > ' ' && *from < 127 && *from != '"' && *from != '\\')
            to[length++] = *from;
    to[length] = '\0';
}

static bool write_holder(struct journal *journal)
{
    char name[256] = "", host[200], job[64], block[HOLDER_LENGTH + 1];
    gethostname(name, sizeof name - 1);
    copy_plain(host, sizeof host, name);
    copy_plain(job, sizeof job, getenv("SLURM_JOB_ID"));
    int length =
        snprintf(block, sizeof block, "{\"host\":\"%s\",\"pid\":\"%d\",\"slurm_job\":\"%s\"}", host,
                 (int)getpid(), job);
    memset(block + length, ' ', HOLDER_LENGTH - (size_t)length);
    block[HOLDER_LENGTH - 1] = '\n';
    if (file_write(journal->fd, JOURNAL_MAGIC, MAGIC_LENGTH, 0) < 0 ||
        file_write(journal->fd, block, HOLDER_LENGTH, MAGIC_LENGTH) < 0)
        return fail_errno(journal);
    return true;
}

/* ---- Opening ---- */

/* Whether the file is new, or a journal that this lkrun can continue. */
static bool check_magic(struct journal *journal)
{
    char magic[MAGIC_LENGTH + 1] = "";
    ssize_t got = pread(journal->fd, magic, MAGIC_LENGTH, 0);
    if (got < 0)
        return fail_errno(journal);
    if (memcmp(magic, JOURNAL_MAGIC, (size_t)got) == 0)
        return true; /* it is one, or the beginning of one */
    size_t name = strcspn(JOURNAL_MAGIC, " ") + 1;
    if (memcmp(magic, JOURNAL_MAGIC, name) != 0)
        return journal_fail(journal,
                            "it is not a journal of lkrun; give another file with --journal");
    return journal_fail(journal,
                        "its format is version %.*s, of another lkrun; this one writes version 1",
                        (int)strcspn(magic + name, "\n"), magic + name);
}

static bool open_file(struct journal *journal)
{
    int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
    do {
        journal->fd = open(journal->path, flags | O_CREAT | O_EXCL, 0666);
        if (journal->fd < 0 && errno == EEXIST)
            journal->fd = open(journal->path, flags);
    } while (journal->fd < 0 && errno == ENOENT && access(journal->path, F_OK) == 0);
    if (journal->fd >= 0)
        return true;
    if (errno == ELOOP)
        return journal_fail(journal,
                            "it is a link, which a journal must not be; remove it, or give "
                            "another file with --journal");
    if (errno == ENOENT)
        return journal_fail(journal, "its folder does not exist; make it first");
    return fail_errno(journal);
}

static bool check_file(struct journal *journal)
{
    struct stat status;
    if (fstat(journal->fd, &status) < 0)
        return fail_errno(journal);
    if (!S_ISREG(status.st_mode))
        return journal_fail(journal, "it is not a regular file; give another with --journal");
    if (status.st_uid != geteuid() || status.st_nlink > 1)
        return journal_fail(journal, "it is another user's, or has several names; remove it, or "
                                     "give another file with --journal");
    return true;
}

bool journal_is_current(const struct journal *journal)
{
    struct stat opened, named;
    return fstat(journal->fd, &opened) == 0 && lstat(journal->path, &named) == 0 &&
           opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

bool journal_open(struct journal *journal, const char *path)
{
    *journal = (struct journal){.fd = -1, .owner = getpid(), .end = JOURNAL_RECORDS};
    pthread_mutex_init(&journal->lock, NULL);
    pthread_cond_init(&journal->drained, NULL);
    if (strlen(path) >= sizeof journal->path)
        return journal_fail(journal, "%s", strerror(ENAMETOOLONG));
    strcpy(journal->path, path);
    for (;;) {
        if (!open_file(journal) || !check_file(journal))
            return false;
        struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
        if (fcntl(journal->fd, F_SETLK, &lock) < 0)
            return errno == EACCES || errno == EAGAIN
                       ? refuse_held(journal)
                       : journal_fail(journal,
                                      "it can't be locked: %s; give a file on another "
                                      "file system with --journal",
                                      strerror(errno));
        if (journal_is_current(journal))
            break;
        close(journal->fd);
    }
    return check_magic(journal) && write_holder(journal);
}

bool journal_start(struct journal *journal, const void *header, size_t length)
{
    journal->done.length = 0;
    journal->done_count = 0;
    if (ftruncate(journal->fd, JOURNAL_RECORDS) < 0)
        return fail_errno(journal);
    journal->end = JOURNAL_RECORDS;
    return journal_add(journal, JOURNAL_HEADER, 0, 0, header, length);
}

/* ---- Reading ---- */

static uint64_t check_of(const struct journal_record *record, const void *bytes, uint64_t offset)
{
    struct digest digest;
    digest_begin(&digest, offset);
    digest_add(&digest, record, offsetof(struct journal_record, check));
    digest_add(&digest, bytes, record->length);
    return digest_end(&digest);
}

static size_t padded(size_t length)
{
    return (length + 7) & ~(size_t)7;
}

bool journal_map(struct journal *journal)
{
    struct stat status;
    if (fstat(journal->fd, &status) < 0)
        return fail_errno(journal);
    journal->mapped_size = (size_t)status.st_size;
    journal->mapped = NULL;
    if (status.st_size == 0)
        return true;
    void *mapped = mmap(NULL, journal->mapped_size, PROT_READ, MAP_SHARED, journal->fd, 0);
    if (mapped == MAP_FAILED)
        return fail_errno(journal);
    journal->mapped = mapped;
    return true;
}

void journal_unmap(struct journal *journal)
{
    if (journal->mapped)
        munmap((void *)journal->mapped, journal->mapped_size);
    journal->mapped = NULL;
}

const struct journal_record *journal_next(struct journal *journal, uint64_t *offset)
{
    if (!journal->mapped || *offset > journal->mapped_size ||
        journal->mapped_size - *offset < sizeof(struct journal_record))
        return NULL;
    const struct journal_record *record = (const void *)(journal->mapped + *offset);
    if (journal->mapped_size - *offset - sizeof *record < padded(record->length) ||
        record->check != check_of(record, record + 1, *offset))
        return NULL;
    uint64_t next = *offset + sizeof *record + padded(record->length);
    /* Pages that were read are left to the page cache; they shall not count as memory of the
     * process. */
    if (next / RELEASED_AT_ONCE != *offset / RELEASED_AT_ONCE)
        madvise((void *)journal->mapped, next & ~(RELEASED_AT_ONCE - 1), MADV_DONTNEED);
    *offset = next;
    return record;
}

static bool note_done(struct journal *journal, uint64_t number)
{
    size_t byte = number / 8;
    if (byte >= journal->done.length) {
        size_t more = byte + 1 - journal->done.length;
        if (number > (uint64_t)1 << 40 || !buffer_reserve(&journal->done, more))
            return journal_fail(journal, "out of memory for the tasks that are done");
        memset(journal->done.data + journal->done.length, 0, more);
        journal->done.length += more;
    }
    char bit = (char)(1 << number % 8);
    journal->done_count += !(journal->done.data[byte] & bit);
    journal->done.data[byte] |= bit;
    return true;
}

bool journal_is_done(const struct journal *journal, uint64_t number)
{
    return number / 8 < journal->done.length && journal->done.data[number / 8] >> number % 8 & 1;
}

bool journal_read(struct journal *journal, const char **header, size_t *length)
{
    uint64_t offset = JOURNAL_RECORDS;
    *header = NULL;
    if (!journal_map(journal))
        return false;
    const struct journal_record *record = journal_next(journal, &offset);
    if (!record || record->kind != JOURNAL_HEADER)
        return true;
    *header = (const char *)(record + 1);
    *length = record->length;
    while ((record = journal_next(journal, &offset)))
        if (record->kind == JOURNAL_RESULT && !note_done(journal, record->number))
            return false;
    journal->end = offset;
    if (ftruncate(journal->fd, (off_t)offset) < 0)
        return fail_errno(journal);
    return true;
}

/* ---- Adding ---- */

bool journal_add(struct journal *journal, enum journal_kind kind, uint16_t signature,
                 uint64_t number, const void *bytes, size_t length)
{
    static const char zeros[8];
    struct journal_record record = {(uint32_t)length, (uint16_t)kind, signature, number, 0};
    if (length > UINT32_MAX - 8)
        return journal_fail(
            journal, "a result has more bytes than a journal can hold; expected at most 4 GiB");
    record.check = check_of(&record, bytes, journal->end);
    pthread_mutex_lock(&journal->lock);
    bool added = buffer_reserve(&journal->gathered, sizeof record + padded(length));
    if (added) {
        buffer_append(&journal->gathered, &record, sizeof record);
        buffer_append(&journal->gathered, bytes, length);
        buffer_append(&journal->gathered, zeros, padded(length) - length);
        journal->end += sizeof record + padded(length);
    }
    if (journal->idle || journal->gathered.length >= JOURNAL_BULK)
        pthread_cond_signal(&journal->news);
    /* A disk that is too slow holds up the batch, before gathered bytes fill the memory. */
    while (journal->running && !journal->error && journal->gathered.length > (size_t)32 << 20)
        pthread_cond_wait(&journal->drained, &journal->lock);
    int error = journal->error;
    pthread_mutex_unlock(&journal->lock);
    if (error)
        return journal_fail(journal, "%s", strerror(error));
    return added || journal_fail(journal, "out of memory");
}
