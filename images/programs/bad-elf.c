/*
 * Writes programs that are broken in one way each, and tells what becomes of starting them:
 * the errno of execve, the exit status or the signal. The kernel must refuse what Linux
 * refuses, kill what Linux kills, and go on.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define BASE 0x400000UL

struct program {
    Elf64_Ehdr header;
    Elf64_Phdr segments[2];
    unsigned char code[64];
    char interpreter[64];
};

static struct program good;
static char path[] = "/tmp/bad-elf.program";

static void make_good(void)
{
    /* mov edi, 7; mov eax, 60 (exit); syscall */
    static const unsigned char code[] = { 0xbf, 7, 0, 0, 0, 0xb8, 60, 0, 0, 0, 0x0f, 0x05 };
    memset(&good, 0, sizeof good);
    memcpy(good.header.e_ident, ELFMAG, SELFMAG);
    good.header.e_ident[EI_CLASS] = ELFCLASS64;
    good.header.e_ident[EI_DATA] = ELFDATA2LSB;
    good.header.e_ident[EI_VERSION] = EV_CURRENT;
    good.header.e_type = ET_EXEC;
    good.header.e_machine = EM_X86_64;
    good.header.e_version = EV_CURRENT;
    good.header.e_ehsize = sizeof(Elf64_Ehdr);
    good.header.e_phentsize = sizeof(Elf64_Phdr);
    good.header.e_phnum = 1;
    good.header.e_phoff = sizeof(Elf64_Ehdr);
    good.header.e_entry = BASE + (unsigned long)((char *)good.code - (char *)&good);
    good.segments[0].p_type = PT_LOAD;
    good.segments[0].p_flags = PF_R | PF_X;
    good.segments[0].p_vaddr = BASE;
    good.segments[0].p_paddr = BASE;
    good.segments[0].p_filesz = sizeof good;
    good.segments[0].p_memsz = sizeof good;
    good.segments[0].p_align = 4096;
    memcpy(good.code, code, sizeof code);
}

static const char *name_of(int number)
{
    switch (number) {
    case ENOENT: return "ENOENT";
    case ENOEXEC: return "ENOEXEC";
    case EACCES: return "EACCES";
    case EINVAL: return "EINVAL";
    case ENOMEM: return "ENOMEM";
    case EIO: return "EIO";
    case ELIBBAD: return "ELIBBAD";
    case ELOOP: return "ELOOP";
    case ENOTDIR: return "ENOTDIR";
    case E2BIG: return "E2BIG";
    default: return strerror(number);
    }
}

static void start(const char *what, const char *file)
{
    int status;
    int report[2];
    int number = 0;
    fflush(stdout);
    pipe(report);
    pid_t pid = fork();
    if (pid == 0) {
        char *args[] = { "program", NULL };
        char *environment[] = { NULL };
        fcntl(report[1], F_SETFD, FD_CLOEXEC);
        close(report[0]);
        execve(file, args, environment);
        number = errno;
        write(report[1], &number, sizeof number);
        _exit(0);
    }
    close(report[1]);
    read(report[0], &number, sizeof number);
    close(report[0]);
    waitpid(pid, &status, 0);
    if (number != 0)
        printf("%-46s %s\n", what, name_of(number));
    else if (WIFSIGNALED(status))
        printf("%-46s killed by signal %d\n", what, WTERMSIG(status));
    else
        printf("%-46s exits with %d\n", what, WEXITSTATUS(status));
}

static void try_bytes(const char *what, const void *bytes, size_t length)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0755);
    write(fd, bytes, length);
    close(fd);
    start(what, path);
}

static void try_program(const char *what, const struct program *program)
{
    try_bytes(what, program, sizeof *program);
}

int main(void)
{
    struct program bad;
    unsigned char noise[4096];
    unsigned seed = 12345;
    make_good();
    try_program("a sound program", &good);

    try_bytes("an empty file", "", 0);
    try_bytes("one byte", "\x7f", 1);
    try_bytes("the magic number alone", ELFMAG, SELFMAG);
    try_bytes("half a header", &good, 32);
    try_bytes("a header without segments behind it", &good, sizeof(Elf64_Ehdr));
    for (size_t at = 0; at < sizeof noise; at++) {
        seed = seed * 1103515245 + 12345;
        noise[at] = seed >> 16;
    }
    try_bytes("random bytes", noise, sizeof noise);

#define TRY(what, change) do { bad = good; change; try_program(what, &bad); } while (0)
    TRY("for ARM", bad.header.e_machine = EM_AARCH64);
    TRY("for no machine", bad.header.e_machine = EM_NONE);
    TRY("an object file", bad.header.e_type = ET_REL);
    TRY("a core dump", bad.header.e_type = ET_CORE);
    TRY("segments of a wrong size", bad.header.e_phentsize = 32);
    TRY("no segments", bad.header.e_phnum = 0);
    TRY("65535 segments", bad.header.e_phnum = 65535);
    TRY("segments far behind the end", bad.header.e_phoff = 1UL << 40);
    TRY("segments at a negative place", bad.header.e_phoff = (Elf64_Off)-64);
    TRY("entry at 0", bad.header.e_entry = 0);
    TRY("entry in the kernel's half", bad.header.e_entry = 0xffffffff81000000UL);
    TRY("entry behind the segment", bad.header.e_entry = BASE + 0x10000);
    TRY("entry that is no canonical address", bad.header.e_entry = 0x800000000000UL << 4);
    TRY("code that is no instruction", memset(bad.code, 0x06, sizeof bad.code));
    TRY("a segment that may not be executed", bad.segments[0].p_flags = PF_R);
    TRY("nothing to load", bad.segments[0].p_type = PT_NOTE);
    TRY("an interpreter that is missing", {
        bad.header.e_phnum = 2;
        bad.segments[1].p_type = PT_INTERP;
        bad.segments[1].p_offset = (char *)bad.interpreter - (char *)&bad;
        strcpy(bad.interpreter, "/no/such/interpreter");
        bad.segments[1].p_filesz = strlen(bad.interpreter) + 1;
    });
    TRY("an interpreter that has no end", {
        bad.header.e_phnum = 2;
        bad.segments[1].p_type = PT_INTERP;
        bad.segments[1].p_offset = (char *)bad.interpreter - (char *)&bad;
        strcpy(bad.interpreter, "/no/such/interpreter");
        bad.segments[1].p_filesz = 5;
    });
    TRY("an interpreter of 1 MiB", {
        bad.header.e_phnum = 2;
        bad.segments[1].p_type = PT_INTERP;
        bad.segments[1].p_filesz = 1 << 20;
    });
    TRY("an interpreter that is a directory", {
        bad.header.e_phnum = 2;
        bad.segments[1].p_type = PT_INTERP;
        bad.segments[1].p_offset = (char *)bad.interpreter - (char *)&bad;
        strcpy(bad.interpreter, "/tmp");
        bad.segments[1].p_filesz = 5;
    });

    try_bytes("a script", "#!/bin/sh\nexit 5\n", 17);
    try_bytes("a script without an interpreter", "#!\nexit 5\n", 10);
    try_bytes("a script whose interpreter is missing", "#!/no/such/shell\n", 17);
    try_bytes("a script that interprets itself", "#!/tmp/bad-elf.program\n", 23);
    try_program("a sound program again", &good);
    chmod(path, 0644);
    start("a program without the right to run", path);
    unlink(path);
    start("a program that is not there", path);
    start("a directory", "/tmp");
    start("a file as a directory", "/etc/passwd/program");
    return 0;
}
