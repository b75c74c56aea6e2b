# SPDX-License-Identifier: BSL-1.0
# What doxygen reads in place of a header, line for line: the conventions of this project's comments
# in doxygen's words.
#
#   awk -f docs/doxygen/filter.awk include/multiprocessing/lock.hpp
#
# - A comment is for all declarations below it, up to the next comment or blank line.
# - "Blocks: ", "Throws: " and their like begin a paragraph (the alias `contract` in the Doxyfile).
# - All other text means itself: no character of it is a command, but for `code`.
# - Lines indented below a sentence are shown as they are.
# - What has a name of the standard library's vocabulary (value_type, begin, unlock ..), or is
#   defaulted, needs no comment.
# - Not shown: the engine's namespaces, but for what public classes are derived from; what is
#   private, or protected without a comment; what stands under "For the wire"; specialisations of
#   the engine's templates.
#
# Indentation tells where things are, as clang-format leaves it: members 2 deeper than their class.

{ lines[NR] = $0 }

END {
  in_class[0] = 1  # the namespace
  for (at = 1; at <= NR; at++) {
    line = lines[at]
    depth = match(line, /[^ ]/) - 1
    if (hidden_namespace != "") {
      if (line == "}  // namespace " hidden_namespace) hidden_namespace = ""
      print ""
    } else if (line ~ /^ *$/) blank()
    else if (is_private && depth >= is_private) print ""
    else if (line ~ /^ *(\/\/($|[^\/])|#)/) print ""
    else if (line ~ /^ *\/\/\/([^<\/]|$)/) comment()
    else if (line ~ /^ *(public|protected|private):/) access()
    else if (line ~ /^(inline )?namespace .*{$|^}  \/\/ namespace/) namespace_edge()
    else code()
  }
}

# Ends the comments of declarations that are complete.
function blank(   d) {
  for (d in comment_of) if (d in balance && is_complete[d]) delete comment_of[d]
  print ""
}

# Reads a whole comment, and writes it line for line.
function comment(   text, whole, is_shown_as_is) {
  leave_deeper()
  whole = ""
  is_shown_as_is = 0
  in_code = 0
  for (;; at++) {
    text = lines[at]
    sub(/^ *\/\/\/ ?/, "", text)
    if (text ~ /^  / && !in_code) {
      text = (is_shown_as_is ? "" : "<pre>") as_is(text)
      is_shown_as_is = lines[at + 1] ~ /^ *\/\/\/   /
      text = text (is_shown_as_is ? "" : "</pre>")
      whole = whole text (is_shown_as_is ? "<br>" : "")
    } else {
      text = words(text, whole == "")
      whole = whole (whole == "" ? "" : " ") text
    }
    print whole ~ /^For the wire/ ? "" : "/// " text
    if (lines[at + 1] !~ /^ *\/\/\/([^<\/]|$)/) break
  }
  comment_of[depth] = whole
  is_first[depth] = 1
}

function access() {
  leave_deeper()
  is_private = line ~ /private/ || (line ~ /protected/ && lines[at + 1] !~ /^ *\/\/\/ /)
  if (is_private) is_private = depth + 1
  delete comment_of[depth + 1]
  delete balance[depth + 1]
  delete is_complete[depth + 1]
  print line
}

function namespace_edge(   name) {
  leave_deeper()
  delete balance[0]
  delete comment_of[0]
  name = line
  sub(/^(inline )?namespace |^}  \/\/ namespace /, "", name)
  sub(/ {.*/, "", name)
  in_detail = line ~ /^namespace/ && name ~ /_detail$/
  if (line ~ /^namespace/ && is_engine(name) && FILENAME !~ /\/channel\/spelling\.hpp$/) {
    if (line !~ /}/) hidden_namespace = name
    line = ""
  }
  print line
}

function is_engine(name) {
  if (name ~ /^(queue|channel|proxy)_detail$/) return 0  # bases of public classes
  return name ~ /(^|::)(base|os|shm|sync|wire|channel|launch|work|serve|[a-z_]+_detail)$/
}

function code(   text) {
  leave_deeper()
  text = line
  if (line !~ /^ *}/ && in_class[depth] && (!(depth in balance) || is_complete[depth])) {
    declaration = whole_declaration()
    is_dropped[depth] = 0
    if (depth in comment_of) {
      if (comment_of[depth] ~ /^For the wire/) is_dropped[depth] = 1
      else if (!is_first[depth] && line !~ /\/\/\/</) text = "/** " comment_of[depth] " */ " line
      is_first[depth] = 0
    } else if (declaration ~ /^ *template <.* (bool|struct) (serve|wire)::/) {
      is_dropped[depth] = 1
    } else if (in_detail && depth == 0) {
      is_dropped[depth] = 1
    } else if (declaration ~ standard_names() || declaration ~ / = default;/) {
      text = "/** As everywhere in the standard library. */ " line
    }
    if (declaration ~ /^ *(template <.*> *)?(class|struct|enum class) [^;]*{[^;]*$/) {
      in_class[depth + 2] = 1
    }
  }
  if (text ~ /\/\/\/</) text = with_note(text)
  print is_dropped_around() ? "" : text
  count_braces()
}

# A declaration is complete where its last brace is closed, or at its semicolon.
function count_braces(   d, change, text) {
  text = line
  gsub(/"([^"\\]|\\.)*"/, "", text)
  sub(/ *\/\/.*$/, "", text)
  change = gsub(/{/, "{", text) - gsub(/}/, "}", text)
  if (!(depth in balance)) balance[depth] = 0
  for (d in balance) {
    balance[d] += change
    is_complete[d] = balance[d] == 0 && text ~ /[;}] *$/
  }
}

# From here to its body, or its end.
function whole_declaration(   i, text) {
  text = ""
  for (i = at; i <= NR; i++) {
    text = text (text == "" ? "" : " ") lines[i]
    if (lines[i] ~ /[;{]/) break
  }
  gsub(/  +/, " ", text)
  return text
}

function standard_names() {
  return "(^| )using (value_type|key_type|size_type|difference_type|reference|iterator|" \
         "iterator_concept) =|[ *&](operator=|begin|end|size|empty|data|contains|lock|try_lock|" \
         "try_lock_for|try_lock_until|unlock|operator(\\+\\+|\\*|->|==|<<| bool))\\(|" \
         "using [^=]*::[A-Za-z_]+;|(class|struct|explicit) ([A-Za-z]+::)?[Ii]terator[ (]"
}

function is_dropped_around(   d) {
  for (d in is_dropped) if (d + 0 <= depth && is_dropped[d]) return 1
  return 0
}

function leave_deeper(   d) {
  for (d in balance) if (d + 0 > depth) {
    delete balance[d]
    delete is_complete[d]
    delete is_dropped[d]
  }
  for (d in comment_of) if (d + 0 > depth) delete comment_of[d]
  if (line ~ /^ *}/) for (d in in_class) if (d + 0 > depth) delete in_class[d]
  if (is_private && depth < is_private) is_private = 0
}

function with_note(text,   place) {
  place = index(text, "///<")
  in_code = 0
  return substr(text, 1, place + 3) words(substr(text, place + 4), 1)
}

function as_is(text) {
  sub(/^  /, "", text)
  gsub(/&/, "\\&amp;", text)
  gsub(/</, "\\&lt;", text)
  gsub(/>/, "\\&gt;", text)
  gsub(/[@\\#%]/, "\\\\&", text)
  return text
}

# Prose: contract words begin a paragraph, and what would be a command does not. `in_code` lasts
# from line to line.
function words(text, is_begin,   result, place, part) {
  result = ""
  while (text != "") {
    place = index(text, "`")
    part = place ? substr(text, 1, place - 1) : text
    text = place ? substr(text, place + 1) : ""
    if (in_code) {
      result = result part
    } else {
      gsub(/[@\\#%<>&]/, "\\\\&", part)
      result = result contracts(part, is_begin && result == "")
    }
    if (place) {
      result = result "`"
      in_code = !in_code
    }
  }
  return result
}

function contracts(text, is_begin,   result, word, contract) {
  contract = "(Blocks|Threads|Processes|Fork|Peer death|Throws|Complexity|Python|REQUIRES)" \
             "((, [a-z]+)+| also| differs)?: "
  result = ""
  while (match(text, contract)) {
    word = substr(text, RSTART, RLENGTH - 2)
    result = result substr(text, 1, RSTART - 1)
    text = substr(text, RSTART + RLENGTH)
    if (is_begin && result == "") {
      result = "<b>" word ":</b> "
    } else {
      gsub(/,/, "\\,", word)  # a comma sets an alias's arguments apart
      result = result "@contract{" word "} "
    }
  }
  return result text
}
