#include <netinet/in.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "ipc/base/error.hpp"
#include "servers/net/byte_order.hpp"
#include "servers/net/resolve.hpp"
#include "tools/server_demo/demonstration.hpp"

namespace procpool::server_demo {
namespace {

using net::Address;

std::string list_of(const std::vector<Address>& addresses) {
  std::string all;
  for (const Address& address : addresses) all += text(all.empty() ? "" : ", ", address.text());
  return all;
}

struct Answer {
  std::string words;  // the addresses, or why there are none
  bool failed = false;
};

Answer ask(const std::string& host, const std::string& service,
           const net::ResolveOptions& options = {}) {
  try {
    return {.words = list_of(net::resolve(host, service, options))};
  } catch (const Error& error) {
    return {.words = error.what(), .failed = true};
  }
}

std::string answer_to(const std::string& host, const std::string& service,
                      const net::ResolveOptions& options = {}) {
  return ask(host, service, options).words;
}

void show_hosts(Stage& stage) {
  const std::string any = answer_to("localhost", "80");
  stage.say("localhost, by /etc/hosts: ", any, ", the best first");
  const std::string four = answer_to("localhost", "80", {.family = AF_INET});
  stage.prove("localhost, IPv4 only", "127.0.0.1:80", four);
  const std::string six = answer_to("::1", "80", {.numeric = true});
  stage.say("the same machine in IPv6 is ::1; with a port it needs brackets: ", six);
  stage.prove("::1, port 80", "[::1]:80", six);
  const std::string mapped = Address::parse("[::ffff:127.0.0.1]:80").host();
  stage.say("IPv6 has a place for every IPv4 address: ::ffff:127.0.0.1 is ", mapped);
  stage.prove("::ffff:127.0.0.1", "127.0.0.1", mapped);
}

void show_services(Stage& stage) {
  const std::string number = answer_to("127.0.0.1", "8080");
  stage.say("a service may be a number: 8080 gives ", number);
  stage.prove("service 8080", "127.0.0.1:8080", number);
  if (::access("/etc/services", R_OK) != 0) {
    stage.say("or a name of /etc/services, which this machine has not");
    return;
  }
  const std::string name = answer_to("127.0.0.1", "http");
  stage.say("or a name of /etc/services: http gives ", name);
  stage.prove("service http", "127.0.0.1:80", name);
  const net::Names names = net::names_of(Address::parse("127.0.0.1:80"));
  stage.say("and backwards: 127.0.0.1:80 is ", names.host, ", ", names.service);
  stage.prove("the service of port 80", "http", names.service);
}

void show_failures(Stage& stage) {
  auto numeric = stage.enter("client", [&] {
    const Answer refused = ask("localhost", "80", {.numeric = true});
    stage.say("allows only numbers, so nobody is asked: ", refused.words);
    stage.prove("localhost where only numbers are allowed: it fails", true, refused.failed);
  });
  stage.finish(numeric);
  auto misled = stage.enter("client 2", [&] {
    ::setenv("RES_OPTIONS", "timeout:1 attempts:1", 1);  // for machines without a network
    const Answer none = ask("no-such-host.invalid", "80");
    stage.say("asks for a host that never is (RFC 6761): ", none.words);
    stage.prove("a name that ends in .invalid: it fails", true, none.failed);
  });
  stage.finish(misled);
}

std::string hexadecimal(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string all;
  for (const char byte : bytes) {
    const auto number = static_cast<unsigned char>(byte);
    all += text(all.empty() ? "" : " ", kDigits[number / 16], kDigits[number % 16]);
  }
  return all;
}

std::string port_bytes(const Address& address) {
  std::string bytes(sizeof(in_port_t), '\0');
  std::memcpy(bytes.data(),
              reinterpret_cast<const char*>(address.data()) + offsetof(sockaddr_in, sin_port),
              bytes.size());
  return bytes;
}

void show_byte_order(Stage& stage) {
  constexpr std::uint16_t kPort = 8080;
  std::string mine;
  net::append_number(mine, kPort, std::endian::native);
  stage.say("port ", kPort, " in this machine's memory: ", hexadecimal(mine));
  const std::string travelling = port_bytes(Address::parse(text("127.0.0.1:", kPort)));
  stage.say("in a socket address, as it travels: ", hexadecimal(travelling));
  stage.prove("the bytes of port 8080 as they travel", "1f 90", hexadecimal(travelling));
  const auto wrong = net::read_number<std::uint16_t>(travelling, std::endian::little);
  stage.say("who forgets htons, on a little-endian machine, goes to port ", wrong);
  stage.prove("8080 with its bytes exchanged", 0x901f, wrong);
  const auto right = net::read_number<std::uint16_t>(travelling, std::endian::big);
  stage.prove("8080 read in network byte order", kPort, right);
}

void play(Stage& stage) {
  show_hosts(stage);
  show_services(stage);
  show_failures(stage);
  show_byte_order(stage);
}

}  // namespace

const Demonstration names_demonstration{
    .name = "names",
    .summary = "hosts, services, IPv4 and IPv6, names that fail, byte order",
    .remember =
        "A name stands for a list of addresses: try them in their order. Asking may take seconds "
        "and may fail, so never inside an event loop; and a server says by number where it "
        "listens. Numbers travel with the highest byte first: htons is not decoration.",
    .play = play,
};

}  // namespace procpool::server_demo
