#![doc = include_str!("../README.md")]

use proc_macro::TokenStream;
use proc_macro2::TokenStream as Tokens;
use quote::quote;
use syn::{
    Attribute, Data, DeriveInput, Error, Fields, Ident, LitStr, Path, Result, Type,
    parse_macro_input, parse_quote,
};

/// A row that a model can be asked about: a struct with named fields.
///
/// - `#[mlops(name = "…")]` on a field: the model's name of it, if it is another
/// - `#[mlops(crate = "…")]` on the struct: where `typed` is found, if it is not in `mlops`
#[proc_macro_derive(Input, attributes(mlops))]
pub fn input(item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as DeriveInput);
    Row::of(&item).map_or_else(Error::into_compile_error, |row| row.input()).into()
}

/// A row of a model's answer: a struct with named fields, and attributes as those of [`Input`](derive@Input).
#[proc_macro_derive(Output, attributes(mlops))]
pub fn output(item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as DeriveInput);
    Row::of(&item).map_or_else(Error::into_compile_error, |row| row.output()).into()
}

/// A struct whose values are rows.
struct Row<'a> {
    item: &'a DeriveInput,
    typed: Path,
    fields: Vec<Field<'a>>,
}

struct Field<'a> {
    ident: &'a Ident,
    of: &'a Type,
    name: String,
}

impl<'a> Row<'a> {
    fn of(item: &'a DeriveInput) -> Result<Self> {
        let Data::Struct(data) = &item.data else {
            return Err(Error::new_spanned(item, "a row is a struct"));
        };
        let Fields::Named(named) = &data.fields else {
            return Err(Error::new_spanned(item, "the fields of a row have names"));
        };
        let mut typed: Path = parse_quote!(::mlops);
        options(&item.attrs, "crate", |path| {
            typed = path.parse()?;
            Ok(())
        })?;
        let mut fields: Vec<Field<'a>> = Vec::with_capacity(named.named.len());
        for field in &named.named {
            let field = Field::of(field)?;
            if fields.iter().any(|other| other.name == field.name) {
                let message = format!("two fields are named {:?}", field.name);
                return Err(Error::new(field.ident.span(), message));
            }
            fields.push(field);
        }
        Ok(Self { item, typed, fields })
    }

    fn input(&self) -> Tokens {
        let (typed, fields) = (&self.typed, self.list());
        let cells = self.fields.iter().enumerate().map(
            |(at, Field { ident, .. })| quote!(#at => #typed::typed::Value::cell(&self.#ident)),
        );
        let ident = &self.item.ident;
        let (generics, arguments, bounds) = self.item.generics.split_for_impl();
        quote! {
            impl #generics #typed::typed::Input for #ident #arguments #bounds {
                #fields

                fn cell(&self, field: usize) -> #typed::typed::Cell<'_> {
                    match field {
                        #(#cells,)*
                        _ => #typed::typed::Cell::Null,
                    }
                }
            }
        }
    }

    fn output(&self) -> Tokens {
        let (typed, fields) = (&self.typed, self.list());
        let reads = self.fields.iter().enumerate().map(|(at, Field { ident, .. })| {
            quote!(#ident: #typed::typed::Value::read(*cells.get(#at)?)?)
        });
        let ident = &self.item.ident;
        let (generics, arguments, bounds) = self.item.generics.split_for_impl();
        quote! {
            impl #generics #typed::typed::Output for #ident #arguments #bounds {
                #fields

                fn read(cells: &[#typed::typed::Cell<'_>]) -> ::core::option::Option<Self> {
                    ::core::option::Option::Some(Self { #(#reads,)* })
                }
            }
        }
    }

    /// The function that lists the fields.
    fn list(&self) -> Tokens {
        let typed = &self.typed;
        let each = self
            .fields
            .iter()
            .map(|Field { of, name, .. }| quote!(#typed::typed::Field::of::<#of>(#name)));
        quote! {
            fn fields() -> ::std::vec::Vec<#typed::typed::Field> {
                ::std::vec![#(#each),*]
            }
        }
    }
}

impl<'a> Field<'a> {
    fn of(field: &'a syn::Field) -> Result<Self> {
        let missing = || Error::new_spanned(field, "the fields of a row have names");
        let ident = field.ident.as_ref().ok_or_else(missing)?;
        // `r#type` is called "type".
        let mut name = ident.to_string().trim_start_matches("r#").to_owned();
        options(&field.attrs, "name", |given| {
            name = given.value();
            Ok(())
        })?;
        Ok(Self { ident, of: &field.ty, name })
    }
}

/// The text of `#[mlops(KEY = "…")]`, if it is there; any other key is a mistake.
fn options(
    attributes: &[Attribute],
    key: &str,
    mut take: impl FnMut(LitStr) -> Result<()>,
) -> Result<()> {
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("mlops")) {
        attribute.parse_nested_meta(|meta| {
            // `crate` is a keyword, which is no identifier in other places.
            if meta.path.is_ident(key) {
                return take(meta.value()?.parse()?);
            }
            Err(meta.error(format!("only {key} = \"…\" is known here")))
        })?;
    }
    Ok(())
}
