#include "proc/detail/image_offset.hpp"

#include <elf.h>
#include <link.h>

#include <cstring>
#include <optional>
#include <span>
#include <string_view>

#include "ipc/base/error.hpp"

namespace procpool::proc::detail {
namespace {

std::uint64_t hash_of(std::span<const std::byte> bytes) noexcept {  // FNV-1a
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const std::byte byte : bytes) {
    hash = (hash ^ static_cast<std::uint8_t>(byte)) * 0x100000001b3;
  }
  return hash;
}

std::size_t aligned(std::size_t size) noexcept {
  return (size + 3) & ~std::size_t{3};
}

// elf(5), "Notes". Empty: the image has none.
std::span<const std::byte> build_id_in(std::span<const std::byte> notes) noexcept {
  while (notes.size() >= sizeof(ElfW(Nhdr))) {
    ElfW(Nhdr) header;
    std::memcpy(&header, notes.data(), sizeof header);
    const std::size_t name_size = aligned(header.n_namesz);
    const std::size_t content_size = aligned(header.n_descsz);
    notes = notes.subspan(sizeof header);
    if (notes.size() < name_size + content_size) break;
    if (header.n_type == NT_GNU_BUILD_ID && header.n_namesz == sizeof ELF_NOTE_GNU &&
        std::memcmp(notes.data(), ELF_NOTE_GNU, sizeof ELF_NOTE_GNU) == 0) {
      return notes.subspan(name_size, header.n_descsz);
    }
    notes = notes.subspan(name_size + content_size);
  }
  return {};
}

std::span<const ElfW(Phdr)> segments_of(const dl_phdr_info& image) noexcept {
  return {image.dlpi_phdr, image.dlpi_phnum};
}

std::uint64_t identity_of(const dl_phdr_info& image) noexcept {
  for (const ElfW(Phdr) & segment : segments_of(image)) {
    if (segment.p_type != PT_NOTE) continue;
    const auto* const notes =
        reinterpret_cast<const std::byte*>(image.dlpi_addr + segment.p_vaddr);  // NOLINT
    const auto id = build_id_in({notes, segment.p_memsz});
    if (!id.empty()) return hash_of(id);
  }
  return hash_of(std::as_bytes(std::span{std::string_view{image.dlpi_name}}));
}

bool covers(const dl_phdr_info& image, std::uint64_t offset) noexcept {
  for (const ElfW(Phdr) & segment : segments_of(image)) {
    if (segment.p_type == PT_LOAD && offset >= segment.p_vaddr &&
        offset - segment.p_vaddr < segment.p_memsz) {
      return true;
    }
  }
  return false;
}

// Calls with each image, until it says true.
template <typename Visit>
void visit_images(Visit visit) {
  ::dl_iterate_phdr([](dl_phdr_info* image, std::size_t,
                       void* data) { return (*static_cast<Visit*>(data))(*image) ? 1 : 0; },
                    &visit);
}

}  // namespace

ImageOffset ImageTable::locate(const void* address) {
  if (const auto known = located_.find(address); known != located_.end()) return known->second;
  std::optional<ImageOffset> place;
  visit_images([&](const dl_phdr_info& image) {
    const std::uint64_t offset = reinterpret_cast<std::uint64_t>(address) - image.dlpi_addr;
    if (covers(image, offset)) place = ImageOffset{identity_of(image), offset};
    return place.has_value();
  });
  if (!place) throw Error{"send function", {}, "it lies in no program or library"};
  located_.emplace(address, *place);
  return *place;
}

void* ImageTable::find(const ImageOffset& place) {
  if (const auto known = found_.find(place); known != found_.end()) return known->second;
  void* address = nullptr;
  visit_images([&](const dl_phdr_info& image) {
    if (!covers(image, place.offset) || identity_of(image) != place.image) return false;
    address = reinterpret_cast<void*>(image.dlpi_addr + place.offset);  // NOLINT
    return true;
  });
  if (address != nullptr) found_.emplace(place, address);
  return address;
}

std::string ImageTable::name_of(std::uint64_t image_identity) {
  std::string name;
  visit_images([&](const dl_phdr_info& image) {
    if (identity_of(image) != image_identity) return false;
    name = image.dlpi_name;
    return true;
  });
  return name;
}

}  // namespace procpool::proc::detail
