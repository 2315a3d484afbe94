# What a file exports is declared in the header beside it, and a header declares nothing else. The first
# file is what `nm -A -P -g` says of the objects; the others are the core's headers. luaopen_* and main are
# found by their names, and what lkrun/embed gathers, such as tensor_math_methods, is named by embedded.o alone.
# What embed generates, embedded.o, may be declared where it fits.
function fail(message) { print message; bad = 1 }

FNR == 1 {
    file++
    header = FILENAME
    sub(/\.h$/, "", header)
    depth = in_comment = continues = 0
    statement = ""
}

file == 1 {
    path = $1
    sub(/:$/, "", path)
    sub(/\.o$/, "", path)
    sub(/^.*\/obj\//, "lkrun/", path)
    is_object[path] = 1
    if (path == "lkrun/embedded" && $3 == "U") is_gathered[$2] = 1
    if ($3 ~ /^[A-TV-Z]$/ && $2 != "main" && $2 !~ /^luaopen_/) {
        exporters[++exports] = path
        exported[exports] = $2
        home[$2] = path
    }
    next
}

# The lines of a header without its comments and directives, cut into statements outside of braces.
{
    line = $0
    if (continues || line ~ /^[ \t]*#/) {
        continues = line ~ /\\$/
        line = ""
        if ($0 !~ /\/\*/ || $0 ~ /\*\//) next
        in_comment = 1
        next
    }
    if (in_comment) {
        if (!sub(/^.*\*\//, "", line)) next
        in_comment = 0
    }
    while (match(line, /\/\*/)) {
        before = substr(line, 1, RSTART - 1)
        after = substr(line, RSTART + 2)
        if (match(after, /\*\//)) {
            line = before " " substr(after, RSTART + 2)
        } else {
            line = before
            in_comment = 1
        }
    }
    sub(/\/\/.*/, "", line)
    while (match(line, /[{};]/)) {
        mark = substr(line, RSTART, 1)
        if (!depth) statement = statement " " substr(line, 1, RSTART - 1)
        line = substr(line, RSTART + 1)
        if (mark == "{") {
            if (!depth++) is_function = statement ~ /\)[ \t]*$/
        } else if (mark == "}") {
            if (!--depth) statement = is_function ? "" : "defined"
        } else if (!depth) {
            declare(statement)
            statement = ""
        }
    }
    if (!depth) statement = statement " " line
}

# The name that a statement declares: the word before the first parenthesis, or after "(*"; without
# parentheses, of extern data, the last word.
function declare(text,  name) {
    gsub(/__attribute__ *\(\(([^()]*\([^()]*\))*[^()]*\)\)/, "", text)
    sub(/^[ \t]+/, "", text)
    if (text ~ /^(typedef|static|_Static_assert|defined)([^A-Za-z0-9_]|$)/) return
    name = text
    if (match(name, /\(/)) {
        if (name ~ /^[^(]*\( *\*/) {
            sub(/^[^(]*\( *\* */, "", name)
            sub(/[^A-Za-z0-9_].*/, "", name)
        } else {
            sub(/[ \t]*\(.*/, "", name)
            sub(/^.*[^A-Za-z0-9_]/, "", name)
        }
    } else if (name ~ /^extern[ \t]/) {
        sub(/[ \t]*(\[.*)?$/, "", name)
        sub(/^.*[^A-Za-z0-9_]/, "", name)
    } else {
        return
    }
    declarers[++declared] = header
    declared_name[declared] = name
    is_declared[header, name] = 1
    declared_in[name] = header
}

END {
    for (i = 1; i <= exports; i++) {
        path = exporters[i]
        name = exported[i]
        if (path == "lkrun/embedded" || name in is_gathered || (path, name) in is_declared) continue
        fail(path ".c: exports " name ", which " path ".h does not declare; " \
             (name in declared_in ? declared_in[name] ".h does" : "expected static, where nobody else uses it"))
    }
    for (i = 1; i <= declared; i++) {
        path = declarers[i]
        name = declared_name[i]
        if (name in home && (home[name] == path || home[name] == "lkrun/embedded")) continue
        if (name ~ /^luaopen_/ && is_object[path]) continue
        fail(path ".h: declares " name ", which " \
             (is_object[path] ? path ".c does not define" : "no " path ".c defines") \
             (name in home ? "; " home[name] ".c does" : ""))
    }
    exit bad
}
