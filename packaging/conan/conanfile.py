# SPDX-License-Identifier: BSL-1.0
# A recipe for the checkout that it lies in:
#   conan create <checkout>/packaging/conan --build=missing -s compiler.cppstd=20
import os

from conan import ConanFile
from conan.errors import ConanInvalidConfiguration
from conan.tools.build import check_min_cppstd
from conan.tools.files import copy
from conan.tools.layout import basic_layout


class Multiprocessing(ConanFile):
    name = "multiprocessing"
    version = "0.1.0"
    description = "Python's multiprocessing as a header-only C++20 library"
    license = "BSL-1.0"
    topics = ("multiprocessing", "process-pool", "shared-memory", "ipc", "header-only")
    package_type = "header-library"
    settings = "os", "arch", "compiler", "build_type"
    options = {"with_openssl": [True, False]}  # keys for Listener, Client and BaseManager
    default_options = {"with_openssl": False, "boost/*:header_only": True}
    no_copy_source = True

    def export_sources(self):
        checkout = os.path.join(self.recipe_folder, os.pardir, os.pardir)
        copy(self, "LICENSE", src=checkout, dst=self.export_sources_folder)
        for files in ("*.hpp", "*.ipp"):
            copy(self, files, src=os.path.join(checkout, "include"),
                 dst=os.path.join(self.export_sources_folder, "include"))

    def layout(self):
        basic_layout(self)

    def requirements(self):
        self.requires("boost/[>=1.81]")
        self.requires("cereal/1.3.2")
        if self.options.with_openssl:
            self.requires("openssl/[>=1.1 <4]")

    def validate(self):
        if self.settings.os != "Linux":
            raise ConanInvalidConfiguration(f"{self.name} is for Linux only")
        check_min_cppstd(self, 20)

    def package_id(self):
        self.info.settings.clear()

    def package(self):
        copy(self, "LICENSE", src=self.source_folder,
             dst=os.path.join(self.package_folder, "licenses"))
        for files in ("*.hpp", "*.ipp"):
            copy(self, files, src=os.path.join(self.source_folder, "include"),
                 dst=os.path.join(self.package_folder, "include"))

    def package_info(self):
        self.cpp_info.set_property("cmake_file_name", "multiprocessing")
        headers = self.cpp_info.components["multiprocessing"]
        headers.set_property("cmake_target_name", "multiprocessing::multiprocessing")
        headers.set_property("pkg_config_name", "multiprocessing")
        headers.bindirs = []
        headers.libdirs = []
        headers.requires = ["boost::headers", "cereal::cereal"]
        headers.system_libs = ["pthread"]
        if self.options.with_openssl:
            keys = self.cpp_info.components["authentication"]
            keys.set_property("cmake_target_name", "multiprocessing::authentication")
            keys.set_property("pkg_config_name", "multiprocessing-authentication")
            keys.bindirs = []
            keys.libdirs = []
            keys.requires = ["multiprocessing", "openssl::crypto"]
            keys.defines = ["MULTIPROCESSING_WITH_OPENSSL"]
