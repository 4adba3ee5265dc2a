#include "servers/net/framing.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <vector>

#include "ipc/base/error.hpp"
#include "tools/server_demo/demonstration.hpp"
#include "tools/server_demo/plain_socket.hpp"

namespace procpool::server_demo {
namespace {

constexpr std::size_t kBuffer = 4096;
std::vector<std::string> three_messages() {
  return {"red", "green", "blue"};
}

std::string joined(const std::vector<std::string>& messages, std::string_view between) {
  std::string all;
  for (const auto& message : messages) all += text(all.empty() ? "" : between, message);
  return all;
}

void show_sticking(Stage& stage) {
  const Ends ends = tcp_pair();
  auto writer = stage.enter("writer", [&] {
    for (const auto& message : three_messages()) {
      stage.say("writes \"", message, "\"");
      send_all(ends.client.fd(), message);
    }
  });
  const std::string all = joined(three_messages(), "");
  auto reader = stage.enter("reader", [&] {
    await_bytes(ends.server.fd(), static_cast<int>(all.size()));
    const std::string got = receive(ends.server.fd(), kBuffer);
    stage.say("reads once, and gets \"", got, "\": where does a message end?");
    stage.prove("three messages written, one read", all, got);
  });
  stage.finish(writer);
  stage.finish(reader);
}

void show_tearing(Stage& stage) {
  const Ends ends = tcp_pair();
  Cue first_half_read;
  auto writer = stage.enter("writer", [&] {
    stage.say("writes \"gre\" of \"green\"; the rest is on its way");
    send_all(ends.client.fd(), "gre");
    first_half_read.await();
    stage.say("writes \"en\"");
    send_all(ends.client.fd(), "en");
  });
  auto reader = stage.enter("reader", [&] {
    const std::string first = receive(ends.server.fd(), kBuffer);
    stage.say("reads \"", first, "\", and would take it for a message");
    first_half_read.give();
    const std::string second = receive(ends.server.fd(), kBuffer);
    stage.say("reads \"", second, "\"");
    stage.prove("one message, two reads", "gre, en", text(first, ", ", second));
  });
  stage.finish(writer);
  stage.finish(reader);
}

// Bytes as somebody can read them: "\x00\x03red".
std::string visible(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  for (const char byte : bytes) {
    const auto number = static_cast<unsigned char>(byte);
    if (byte == '\n') {
      out += "\\n";
    } else if (number < ' ' || number > '~') {
      out += text("\\x", kDigits[number / 16], kDigits[number % 16]);
    } else {
      out += byte;
    }
  }
  return out;
}

// The same messages, framed; they travel in pieces of four bytes, which fit no message.
void show_cure(Stage& stage, std::string_view name, const net::Framing& framing,
               const std::vector<std::string>& messages) {
  constexpr std::size_t kPiece = 4;
  const Ends ends = tcp_pair();
  auto writer = stage.enter("writer", [&] {
    std::string frames;
    for (const auto& message : messages) net::append_frame(framing, message, frames);
    stage.say(name, ": writes \"", visible(frames), "\"");
    send_all(ends.client.fd(), frames);
    ::shutdown(ends.client.fd(), SHUT_WR);
  });
  auto reader = stage.enter("reader", [&] {
    net::FrameDecoder decoder{framing};
    std::vector<std::string> found;
    unsigned reads = 0;
    for (std::string piece = receive(ends.server.fd(), kPiece); !piece.empty();
         piece = receive(ends.server.fd(), kPiece)) {
      ++reads;
      decoder.feed(piece);
      while (const auto message = decoder.next()) found.emplace_back(*message);
    }
    stage.say("finds ", found.size(), " messages in ", reads, " reads of at most ", kPiece,
              " bytes");
    stage.prove(text("messages found by ", name), visible(joined(messages, ", ")),
                visible(joined(found, ", ")));
  });
  stage.finish(writer);
  stage.finish(reader);
}

std::vector<std::string> padded_to(std::size_t size) {
  auto records = three_messages();
  for (auto& record : records) record.resize(size, '.');
  return records;
}

void show_too_long(Stage& stage) {
  constexpr std::size_t kLongest = 1024;
  const Ends ends = tcp_pair();
  auto writer = stage.enter("liar", [&] {
    stage.say("writes a length of 4,294,967,295, and hopes that somebody makes room for it");
    send_all(ends.client.fd(), "\xff\xff\xff\xff");
  });
  auto reader = stage.enter("reader", [&] {
    net::FrameDecoder decoder{net::LengthPrefix{.bytes = 4}, kLongest};
    await_bytes(ends.server.fd(), 4);
    decoder.feed(receive(ends.server.fd(), kBuffer));
    const bool found = decoder.next().has_value();
    stage.say("allows ", kLongest, " bytes: hangs up, and has kept ", decoder.unfinished(),
              " bytes");
    stage.prove("a frame that is longer than allowed", "an error",
                !found && decoder.too_long() ? "an error" : "taken");
  });
  stage.finish(writer);
  stage.finish(reader);
}

void play(Stage& stage) {
  constexpr std::size_t kRecord = 8;
  show_sticking(stage);
  show_tearing(stage);
  stage.say("the cure: each message says where it ends");
  show_cure(stage, "a delimiter", net::Delimiter{.bytes = "\n"}, three_messages());
  show_cure(stage, "a length before it", net::LengthPrefix{.bytes = 2}, three_messages());
  show_cure(stage, "records of 8 bytes", net::FixedRecord{.bytes = kRecord}, padded_to(kRecord));
  show_too_long(stage);
}

}  // namespace

const Demonstration framing_demonstration{
    .name = "framing",
    .summary = "\"sticky packets\": a stream knows no messages",
    .remember =
        "TCP carries bytes in order, and nothing else: one write may be read in pieces, and "
        "several at once. A protocol says where a message ends, by a delimiter, a length or a "
        "fixed size, and the reader collects until it has one. What a stranger says of a length is "
        "checked before anything is done with it.",
    .play = play,
};

}  // namespace procpool::server_demo
