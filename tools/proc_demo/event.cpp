#include "tools/proc_demo/event.hpp"

#include <nlohmann/json.hpp>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"

namespace procpool::proc_demo {

// NOLINTNEXTLINE(*-macro*): the library's way to name the values of an enumeration
NLOHMANN_JSON_SERIALIZE_ENUM(Event::Kind, {{Event::Kind::said, "said"},
                                           {Event::Kind::fork, "fork"},
                                           {Event::Kind::seen, "seen"},
                                           {Event::Kind::exec, "exec"},
                                           {Event::Kind::end, "end"},
                                           {Event::Kind::wait, "wait"},
                                           {Event::Kind::adopted, "adopted"},
                                           {Event::Kind::signal, "signal"},
                                           {Event::Kind::state, "state"},
                                           {Event::Kind::proof, "proof"}})

namespace {

using Json = nlohmann::ordered_json;

Json json_of(const Event& event) {
  return {{"time_ns", event.time.count()},
          {"pid", event.pid},
          {"role", event.role},
          {"kind", event.kind},
          {"other", event.other},
          {"detail", event.detail},
          {"words", event.words},
          {"expected", event.expected},
          {"observed", event.observed}};
}

Event event_of(const Json& json) {
  return {.time = std::chrono::nanoseconds{json.at("time_ns").get<std::int64_t>()},
          .pid = json.at("pid"),
          .role = json.at("role"),
          .kind = json.at("kind"),
          .other = json.at("other"),
          .detail = json.at("detail"),
          .words = json.at("words"),
          .expected = json.at("expected"),
          .observed = json.at("observed")};
}

// What is no UTF-8 is shown as such, and stops nothing.
std::string dumped(const Json& json, int indent) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

std::string encode(const Event& event) {
  return dumped(json_of(event), -1);
}

Event decode(std::string_view json) {
  try {
    return event_of(Json::parse(json));
  } catch (const Json::exception& error) {
    throw Error{"decode", "event", error.what()};
  }
}

std::string to_json(const Recording& recording) {
  Json events = Json::array();
  for (const Event& event : recording.events) events.push_back(json_of(event));
  return dumped({{"scenario", recording.scenario},
                 {"summary", recording.summary},
                 {"lesson", recording.lesson},
                 {"events", events}},
                1) +
         "\n";
}

Recording read_recording(const std::string& file) {
  const std::string content = read_file(file);
  try {
    const Json json = Json::parse(content);
    Recording recording{.scenario = json.at("scenario"),
                        .summary = json.at("summary"),
                        .lesson = json.at("lesson")};
    for (const Json& event : json.at("events")) recording.events.push_back(event_of(event));
    return recording;
  } catch (const Json::exception& error) {
    throw Error{"replay", file, error.what()};
  }
}

}  // namespace procpool::proc_demo
