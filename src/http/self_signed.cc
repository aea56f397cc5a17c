// Certificates that `millrace serve --tls` makes for itself.
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <memory>
#include <set>

#include "base/durable_file.h"
#include "base/error.h"
#include "http/tls.h"

namespace millrace::http {
namespace {

constexpr int kDays = 3650, kRenewDays = 30;
constexpr size_t kFileBytesMax = 64 * 1024;

template <auto Function>
struct Free {
  template <typename T>
  void operator()(T* object) const {
    Function(object);
  }
};
using Certificate = std::unique_ptr<X509, Free<X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;
using Bio = std::unique_ptr<BIO, Free<BIO_free_all>>;
using Extension = std::unique_ptr<X509_EXTENSION, Free<X509_EXTENSION_free>>;

void check(bool good, const char* what) {
  if (!good) throw base::InternalError(std::string("cannot make a certificate: ") + what);
}

bool is_address(const std::string& name) {
  std::unique_ptr<ASN1_OCTET_STRING, Free<ASN1_OCTET_STRING_free>> address(a2i_IPADDRESS(name.c_str()));
  return address != nullptr;
}

bool is_for(X509* certificate, const std::string& name) {
  return is_address(name) ? X509_check_ip_asc(certificate, name.c_str(), 0) == 1
                          : X509_check_host(certificate, name.data(), name.size(), 0, nullptr) == 1;
}

bool is_good(const std::string& file, const std::vector<std::string>& names) {
  std::string text;
  try {
    text = base::read_small_file(file, kFileBytesMax);
  } catch (const base::NotFoundError&) {
    return false;
  }
  const Bio bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  const Certificate certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  if (!certificate) return false;
  int days = 0, seconds = 0;
  if (ASN1_TIME_diff(&days, &seconds, nullptr, X509_get0_notAfter(certificate.get())) != 1 ||
      days < kRenewDays)
    return false;
  for (const std::string& name : names)
    if (!is_for(certificate.get(), name)) return false;
  return true;
}

void add_extension(X509* certificate, int id, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
  const Extension extension(X509V3_EXT_conf_nid(nullptr, &context, id, value.c_str()));
  check(extension && X509_add_ext(certificate, extension.get(), -1) == 1, "an extension was refused");
}

std::string text_of(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<size_t>(size)};
}

}  // namespace

void keep_self_signed(const std::string& certificate_file, const std::string& key_file,
                      const std::vector<std::string>& names) {
  const Bio there(BIO_new_file(key_file.c_str(), "r"));
  if (there && is_good(certificate_file, names)) return;
  const Key key(EVP_EC_gen("P-256"));
  const Certificate certificate(X509_new());
  check(key && certificate, "no memory");
  X509* made = certificate.get();
  X509_set_version(made, 2);
  unsigned char serial[16];
  check(RAND_bytes(serial, sizeof serial) == 1, "no random bytes");
  serial[0] &= 0x7f;
  const std::unique_ptr<BIGNUM, Free<BN_free>> number(BN_bin2bn(serial, sizeof serial, nullptr));
  BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(made));
  X509_gmtime_adj(X509_getm_notBefore(made), -3600);  // clocks of clients differ
  X509_time_adj_ex(X509_getm_notAfter(made), kDays, 0, nullptr);
  X509_set_pubkey(made, key.get());
  X509_NAME* subject = X509_get_subject_name(made);
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("Millrace"),
                             -1, -1, 0);
  X509_set_issuer_name(made, subject);
  std::set<std::string> unique(names.begin(), names.end());
  std::string alternatives;
  for (const std::string& name : unique)
    alternatives += (alternatives.empty() ? "" : ",") + std::string(is_address(name) ? "IP:" : "DNS:") + name;
  add_extension(made, NID_subject_alt_name, alternatives);
  // Its own authority: clients are given this very certificate to trust.
  add_extension(made, NID_basic_constraints, "critical,CA:TRUE,pathlen:0");
  add_extension(made, NID_key_usage, "critical,digitalSignature,keyCertSign");
  add_extension(made, NID_ext_key_usage, "serverAuth");
  add_extension(made, NID_subject_key_identifier, "hash");
  add_extension(made, NID_authority_key_identifier, "keyid:always");
  check(X509_sign(made, key.get(), EVP_sha256()) > 0, "it cannot be signed");
  const Bio certificate_text(BIO_new(BIO_s_mem())), key_text(BIO_new(BIO_s_secmem()));
  check(PEM_write_bio_X509(certificate_text.get(), made) == 1 &&
            PEM_write_bio_PrivateKey(key_text.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1,
        "it cannot be written as PEM");
  // The key first: a certificate without its key would be taken for good at the next start.
  base::write_durably(key_file, text_of(key_text.get()));
  base::write_durably(certificate_file, text_of(certificate_text.get()));
}

}  // namespace millrace::http
