#include "workloads/ingest/licence.h"

#include <algorithm>
#include <cctype>
#include <set>
#include <vector>

#include "base/strings.h"

namespace millrace::ingest {
namespace {

constexpr size_t kTextLooks = 512 << 10;
constexpr size_t kHeadLooks = 8 << 10;
constexpr size_t kExpressionMax = 200;

// How a licence is known by its words (lower case, letters and digits, one blank between): all of `has`, none
// of `lacks`; '|' separates. More special ones stand before those whose words they share, and `instead` names
// what a hit rules out.
struct Fingerprint {
  std::string_view id, has, lacks = "", instead = "";
};
constexpr Fingerprint kFingerprints[] = {
    {"Apache-2.0", "apache license version 2 0 january 2004"},
    {"Apache-2.0", "licensed under the apache license version 2 0"},
    {"Apache-1.1", "apache software license version 1 1", "", "BSD-3-Clause BSD-4-Clause BSD-2-Clause"},
    {"AGPL-3.0", "gnu affero general public license version 3 19 november 2007", "", "GPL-3.0 LGPL-3.0"},
    {"LGPL-3.0", "gnu lesser general public license version 3 29 june 2007", "", "GPL-3.0"},
    {"LGPL-2.1", "gnu lesser general public license version 2 1 february 1999", "", "GPL-2.0"},
    {"LGPL-2.0", "gnu library general public license version 2 june 1991", "", "GPL-2.0"},
    {"GPL-3.0", "gnu general public license version 3 29 june 2007"},
    {"GPL-2.0", "gnu general public license version 2 june 1991"},
    {"GPL-1.0", "gnu general public license version 1 february 1989"},
    {"GFDL-1.2", "gnu free documentation license version 1 2 november 2002"},
    {"GFDL-1.3", "gnu free documentation license version 1 3"},
    {"MPL-2.0", "mozilla public license version 2 0|covered software"},
    {"MPL-1.1", "mozilla public license version 1 1|covered code"},
    {"EPL-2.0", "eclipse public license v 2 0|secondary license"},
    {"EPL-1.0", "eclipse public license v 1 0|commercial distribution"},
    {"CDDL-1.0", "common development and distribution license cddl version 1 0"},
    {"CDDL-1.1", "common development and distribution license cddl version 1 1"},
    {"EUPL-1.2", "european union public licence v 1 2"},
    {"Unlicense", "this is free and unencumbered software released into the public domain"},
    {"CC0-1.0", "cc0 1 0 universal|affirmer"},
    {"CC-BY-4.0", "attribution 4 0 international", "sharealike|noncommercial|noderivatives"},
    {"CC-BY-SA-4.0", "attribution sharealike 4 0 international", "noncommercial sharealike 4 0"},
    {"CC-BY-NC-4.0", "attribution noncommercial 4 0 international"},
    {"CC-BY-NC-SA-4.0", "attribution noncommercial sharealike 4 0 international"},
    {"CC-BY-ND-4.0", "attribution noderivatives 4 0 international"},
    {"CC-BY-3.0", "attribution 3 0 unported", "sharealike|noncommercial|noderiv"},
    {"CC-BY-SA-3.0", "attribution sharealike 3 0 unported"},
    {"BSL-1.0", "boost software license version 1 0 august 17th 2003"},
    {"BUSL-1.1", "business source license 1 1|change date"},
    {"SSPL-1.0", "server side public license version 1"},
    {"Elastic-2.0", "elastic license 2 0|hosted or managed service"},
    {"Artistic-2.0", "the artistic license 2 0"},
    {"Artistic-1.0", "the artistic license|reasonable copying fee", "artistic license 2 0"},
    {"OFL-1.1", "sil open font license version 1 1"},
    {"WTFPL", "do what the fuck you want to public license"},
    {"MS-PL", "microsoft public license ms pl"},
    {"MS-RL", "microsoft reciprocal license ms rl"},
    {"OSL-3.0", "open software license v 3 0"},
    {"AFL-3.0", "academic free license version 3 0"},
    {"ECL-2.0", "educational community license version 2 0", "", "Apache-2.0"},
    {"UPL-1.0", "the universal permissive license upl version 1 0", "", "MIT"},
    {"MulanPSL-2.0", "mulan permissive software license version 2"},
    {"Python-2.0", "python software foundation license version 2"},
    {"PostgreSQL",
     "permission to use copy modify and distribute this software and its documentation for any purpose "
     "without fee and without a written agreement is hereby granted"},
    {"Vim", "vim license|vim maintainer"},
    {"OpenSSL", "openssl license|openssl toolkit", "", "BSD-4-Clause BSD-3-Clause"},
    {"NCSA", "university of illinois ncsa open source license", "", "MIT BSD-3-Clause"},
    {"NCSA",
     "permission is hereby granted free of charge|redistributions of source code must retain the above "
     "copyright notice|neither the names of",
     "", "MIT BSD-3-Clause"},
    {"Zlib",
     "altered source versions must be plainly marked as such|in no event will the authors be held liable"},
    {"MIT-0",
     "permission is hereby granted free of charge to any person obtaining a copy|deal in the software "
     "without restriction",
     "the above copyright notice and this permission notice"},
    {"X11",
     "permission is hereby granted free of charge to any person obtaining a copy|except as contained in this "
     "notice the name",
     "", "MIT"},
    {"MIT",
     "permission is hereby granted free of charge to any person obtaining a copy|the above copyright notice "
     "and this permission notice"},
    {"ISC",
     "permission to use copy modify and or distribute this software for any purpose with or without fee is "
     "hereby granted provided that the above copyright notice"},
    {"ISC",
     "permission to use copy modify and distribute this software for any purpose with or without fee is "
     "hereby granted provided that the above copyright notice"},
    {"0BSD",
     "permission to use copy modify and or distribute this software for any purpose with or without fee is "
     "hereby granted",
     "provided that the above copyright notice"},
    {"HPND",
     "permission to use copy modify and distribute this software and its documentation for any purpose|is "
     "hereby granted|supporting documentation",
     "without a written agreement"},
    {"BSD-4-Clause",
     "redistribution and use in source and binary forms|all advertising materials mentioning "
     "features or use of this software must display"},
    {"BSD-3-Clause-Clear",
     "redistribution and use in source and binary forms|no express or implied licenses to any "
     "party s patent rights are granted by this license",
     "", "BSD-3-Clause"},
    {"BSD-3-Clause", "redistribution and use in source and binary forms|endorse or promote products derived",
     "all advertising materials mentioning features"},
    {"BSD-2-Clause",
     "redistribution and use in source and binary forms|redistributions in binary form must "
     "reproduce the above copyright notice",
     "endorse or promote products|all advertising materials mentioning features"},
    {"BSD-1-Clause",
     "redistribution and use in source and binary forms|redistributions of source code must retain "
     "the above copyright notice",
     "redistributions in binary form|endorse or promote"},
};

std::string words_of(std::string_view text) {
  std::string out;
  text = text.substr(0, kTextLooks);
  out.reserve(text.size());
  for (char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80 && std::isalnum(byte) != 0)
      out += static_cast<char>(std::tolower(byte));
    else if (!out.empty() && out.back() != ' ')
      out += ' ';
  }
  return out;
}

bool matches(const Fingerprint& print, const std::string& words) {
  for (std::string_view phrase : base::split(print.has, '|'))
    if (words.find(phrase) == std::string::npos) return false;
  if (!print.lacks.empty())
    for (std::string_view phrase : base::split(print.lacks, '|'))
      if (words.find(phrase) != std::string::npos) return false;
  return true;
}

}  // namespace

bool may_hold_licence(std::string_view path) {
  const size_t slash = path.rfind('/');
  const std::string name = base::to_lower(path.substr(slash + 1));
  for (std::string_view begin : {"license", "licence", "copying", "unlicense", "unlicence", "copyright"})
    if (name.starts_with(begin)) {
      // license.py is a program.
      const std::string_view rest = std::string_view(name).substr(begin.size());
      const size_t dot = rest.rfind('.');
      const std::string_view extension = dot == std::string_view::npos ? "" : rest.substr(dot + 1);
      return extension.empty() || extension == "txt" || extension == "md" || extension == "rst" ||
             extension == "html" || extension == "markdown" || extension.size() > 4 ||
             extension.find_first_not_of("0123456789") == std::string_view::npos;
    }
  if (slash == std::string_view::npos) return name.ends_with("-license") || name.ends_with("-license.txt");
  const std::string_view folder = path.substr(0, slash);
  const std::string last = base::to_lower(folder.substr(folder.rfind('/') + 1));
  return (last == "licenses" || last == "licences") && (name.ends_with(".txt") || name.ends_with(".md"));
}

std::string licence_of_text(std::string_view text) {
  const std::string words = words_of(text);
  std::set<std::string_view> found;
  std::string ruled_out = " ";
  for (const Fingerprint& print : kFingerprints) {
    if (ruled_out.find(' ' + std::string(print.id) + ' ') != std::string::npos || !matches(print, words))
      continue;
    found.insert(print.id);
    if (!print.instead.empty()) ruled_out += std::string(print.instead) + ' ';
  }
  std::string expression;
  for (std::string_view id : found) {
    if (!expression.empty()) expression += " AND ";
    expression += id;
  }
  return expression;
}

std::string licence_tag(std::string_view head) {
  // In two parts, so that this file says nothing about itself.
  static const std::string kTag = std::string("SPDX-License-") + "Identifier:";
  head = head.substr(0, kHeadLooks);
  const size_t at = head.find(kTag);
  if (at == std::string_view::npos) return "";
  std::string_view rest = head.substr(at + kTag.size());
  rest = rest.substr(0, rest.find_first_of("\r\n"));
  // What ends the comment it stands in.
  for (std::string_view end : {"*/", "-->", "*)", "-}", "#}", "\"", "'", "\\n", "<", "%>", ";"})
    rest = rest.substr(0, rest.find(end));
  rest = base::trim(rest);
  return is_licence_expression(rest) ? std::string(rest) : "";
}

bool is_licence_expression(std::string_view text) {
  if (text.empty() || text.size() > kExpressionMax) return false;
  int depth = 0;
  bool wants_id = true;
  std::string spaced;
  for (char c : text) {
    if (c == '(' || c == ')')
      (spaced += ' ') += std::string(1, c) + ' ';
    else
      spaced += c;
  }
  for (std::string_view word : base::split(spaced, ' ')) {
    if (word.empty()) continue;
    const bool operation = word == "AND" || word == "OR" || word == "WITH" || word == "and" || word == "or";
    if (word == "(") {
      if (!wants_id) return false;
      ++depth;
    } else if (word == ")") {
      if (wants_id || --depth < 0) return false;
    } else if (operation) {
      if (wants_id) return false;
      wants_id = true;
    } else {
      if (!wants_id || !std::all_of(word.begin(), word.end(), [](char c) {
            return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || c == '-' || c == '+' ||
                   c == ':';
          }))
        return false;
      wants_id = false;
    }
  }
  return !wants_id && depth == 0;
}

}  // namespace millrace::ingest
